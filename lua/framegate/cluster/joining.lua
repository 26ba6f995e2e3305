-- How this node joins the others over a new link to Redis: it subscribes to what its workers have, then to its own channel,
-- and renews its lease. Only then it is ready: the others rely on a node whose own channel is subscribed.

---@class Joining
---@field is_ready boolean whether all that is done over the present link
local Joining = {}
Joining.__index = Joining

local AWAY_SECONDS = 1 -- how long pushes wait for a link that was lost
local REPORT_SECONDS = 5 -- how long this node waits for the groups of its workers
local RETRY_SECONDS = 2 -- between two attempts, when Redis refuses something

---@param parts { link: RedisLink, subscriptions: Subscriptions, lease: Lease, now: (fun(): number), workers: (fun(): string[]),
--- on_ready: fun() } `workers`: the names of this node's living workers
---@return Joining
function Joining.new(parts)
  return setmetatable({
    link = parts.link,
    subscriptions = parts.subscriptions,
    lease = parts.lease,
    now = parts.now,
    workers = parts.workers,
    on_ready = parts.on_ready,
    is_ready = false,
    phase = nil, -- while the link is up: "subscribing", "subscribed", "joining", "joined" or "refused"
    down_since = parts.now(), -- while it is not ready
  }, Joining)
end

local function has_all_reports(self)
  for _, worker in ipairs(self.workers()) do
    if not self.subscriptions:has(worker) then
      return false
    end
  end
  return true
end

local function joined(self)
  if self.phase == "joining" then
    self.phase, self.is_ready = "joined", true
    self.on_ready()
  end
end

--- Goes on once all workers have reported their groups. Does not yield.
function Joining:advance()
  if self.phase == "subscribed" and (has_all_reports(self) or self.now() > self.report_until) then
    self.phase = "joining"
    self.subscriptions:join(function()
      self.lease:renew(function() joined(self) end)
    end)
  end
end

local function begin(self)
  self.phase = "subscribing"
  self.subscriptions:resume(function()
    self.phase = "subscribed"
    self:advance()
  end)
end

-- A former link that Redis has not noticed the end of would take messages that nobody reads. Another Redis, or one that was
-- started again, may have given its number to another node.
local function end_former(self)
  local link = self.link
  if self.client_id and self.run_id == link.run_id then
    link:command(nil, "CLIENT", "KILL", "ID", self.client_id)
  end
  self.client_id, self.run_id = link.client_id, link.run_id
end

--- The link is up. Does not yield.
function Joining:up()
  end_former(self)
  self.report_until = self.report_until or self.now() + REPORT_SECONDS
  begin(self)
end

local function not_ready(self, phase)
  if self.is_ready then
    self.is_ready, self.down_since = false, self.now()
  end
  self.phase = phase
  self.lease:reset()
end

--- The link is down.
function Joining:down() not_ready(self, nil) end

--- Redis refuses something, by an ACL for example. It is tried again until the operator has repaired that.
function Joining:refused()
  if self.phase then
    not_ready(self, "refused")
    self.retry_at = self.now() + RETRY_SECONDS
    self.subscriptions:part()
  end
end

--- Does what is due while this node is not ready.
function Joining:look()
  if self.phase == "refused" and self.now() > self.retry_at then
    begin(self)
  else
    self:advance()
  end
end

--- Whether nobody should wait for the link. It may return in a moment when it was lost.
---@return boolean
function Joining:is_away()
  if self.is_ready then
    return self.link:is_away()
  end
  return self.now() - self.down_since > AWAY_SECONDS
end

return Joining
