-- The other nodes of the cluster, for every worker of this one: sends requests to them.
-- One worker holds the link to Redis (link_holder.lua); the others reach it over the bus. A request that the holder has not
-- finished is sent again when another worker takes over; nodes run it once. Requests that nobody waits for keep their order.

local Kept = require "framegate.cluster.kept"
local Task = require "framegate.runtime.task"
local semaphore = require "ngx.semaphore"

---@class Nodes
local Nodes = {}
Nodes.__index = Nodes

local LOOK_SECONDS = 0.1
local LATE_SECONDS = 1 -- after the deadline, for the holder's word
local CHANGE_SECONDS = 0.3 -- after a change of the holder, for what the former one has not sent yet

---@param parts { own: string, holders: Holders, bus: Bus, now: (fun(): number), wait: number, max_bytes: integer,
--- on_lost: fun() } `own`: the names of this node and this worker; `wait`: seconds for answers; `max_bytes` of requests that
--- nobody waits for; `on_lost` is called when one of them did not reach every node
---@return Nodes
function Nodes.new(parts)
  local self = setmetatable({
    prefix = parts.own .. "/",
    last_id = 0,
    holders = parts.holders,
    wait = parts.wait,
    bus = parts.bus,
    now = parts.now,
    on_lost = parts.on_lost,
    entries = {}, -- requests that are not finished
    count = 0,
    last_number = 0, -- of an entry
    handed = 0, -- entries that nobody waits for and that a holder has
    unhanded = 0, -- and that no holder has
  }, Nodes)
  self.kept = Kept.new { max_bytes = parts.max_bytes, give_up = function(entry) self:give_up(entry) end }
  self.looking = Task.new("the wait for other nodes", function() self:look_while_busy() end)
  return self
end

--- Whether this gateway is in no cluster.
---@return boolean
function Nodes:is_alone() return not self.holders:is_clustered() end

-- Counts an entry that nobody waits for among those that a holder has, or has not.
local function count(self, entry, by)
  if not entry.request.waits then
    local name = entry.is_with_holder and "handed" or "unhanded"
    self[name] = self[name] + by
  end
end

local function set_with_holder(self, entry, is_with_holder)
  count(self, entry, -1)
  entry.is_with_holder = is_with_holder
  count(self, entry, 1)
end

local function finish(self, entry, outcome)
  if entry.is_finished then
    return
  end
  entry.is_finished, entry.payload = true, nil
  self.entries[entry], self.count = nil, self.count - 1
  count(self, entry, -1)
  if not entry.request.waits then
    self.kept:finished(entry)
    if outcome.is_away or outcome.is_incomplete or #outcome.missing > 0 then
      self.on_lost()
    end
  end
  entry.on_done(outcome)
end

---@private
function Nodes:give_up(entry) finish(self, entry, { results = {}, missing = {}, is_away = true }) end

-- What a new holder gets must not overtake what the former one has.
local function must_wait(self, holder)
  if holder == self.holder then
    return false
  end
  self.changed_at = self.changed_at or self.now()
  if self.handed > 0 and self.now() - self.changed_at < CHANGE_SECONDS then
    return true
  end
  self.holder, self.changed_at = holder, nil
  return false
end

-- Hands an entry to the worker that holds the link. Returns whether it could.
local function hand_over(self, entry)
  local holder = self.holders:current()
  if not holder or not entry.request.waits and must_wait(self, holder) then
    return false
  end
  local request = { op = "ask_nodes", args = entry.request, payload = entry.payload }
  set_with_holder(self, entry, true)
  self.bus:ask(holder, request, function(outcome)
    if entry.is_finished then
      return
    elseif outcome then
      return finish(self, entry, outcome)
    end
    set_with_holder(self, entry, false)
  end)
  return entry.is_finished or entry.is_with_holder
end

local function by_number(a, b) return a.number < b.number end

-- The entries that no holder has, in their order. Gives up those that are over their deadline.
local function unhanded(self)
  local now, late, open = self.now(), {}, {}
  for entry in pairs(self.entries) do
    if now > entry.deadline + (entry.is_with_holder and LATE_SECONDS or 0) then
      late[#late + 1] = entry
    elseif not entry.is_with_holder then
      entry.request.seconds = math.max(entry.deadline - now, 0)
      open[#open + 1] = entry
    end
  end
  for _, entry in ipairs(late) do
    self:give_up(entry)
  end
  table.sort(open, by_number)
  return open
end

local function look(self)
  local is_held = false
  for _, entry in ipairs(unhanded(self)) do
    if entry.request.waits then
      hand_over(self, entry)
    elseif not is_held and not entry.is_finished then
      is_held = not hand_over(self, entry)
    end
  end
end

---@private
function Nodes:look_while_busy()
  while self.count > 0 do
    ngx.sleep(LOOK_SECONDS)
    look(self)
  end
end

--- Sends a request to other nodes. Does not yield.
---@param request NodeRequest
---@param payload string
---@param on_done fun(outcome: NodeOutcome) called once; must not yield
function Nodes:send(request, payload, on_done)
  if self:is_alone() then
    return on_done { results = {}, missing = {}, is_gone = request.to ~= nil }
  end
  local entry = {
    request = request,
    payload = payload,
    bytes = #payload,
    deadline = self.now() + request.seconds,
    on_done = on_done,
  }
  self.last_number, self.count = self.last_number + 1, self.count + 1
  entry.number, self.entries[entry] = self.last_number, true
  local is_next = request.waits or self.unhanded == 0
  count(self, entry, 1)
  if not request.waits then
    self.kept:add(entry)
  end
  if is_next and not entry.is_finished then
    hand_over(self, entry)
  end
  self.looking:begin()
end

--- Begins a request to other nodes, so that the caller can do its own part meanwhile.
---@param request NodeRequest
---@param payload string
---@return fun(): NodeOutcome await waits for the outcome
function Nodes:begin(request, payload)
  local outcome, done
  self:send(request, payload, function(value)
    outcome = value
    if done then
      done:post()
    end
  end)
  return function()
    if not outcome then
      done = semaphore.new()
      done:wait(request.seconds + LATE_SECONDS + LOOK_SECONDS)
    end
    return outcome or { results = {}, missing = {}, is_away = true }
  end
end

--- Makes an id for a request.
---@return string id unique in the cluster
function Nodes:new_id()
  self.last_id = self.last_id + 1
  return self.prefix .. self.last_id
end

--- Runs an operation that only reads in every worker of every node, and waits for the results.
---@param op string name of an operation
---@param args table
---@return table[] results
---@return boolean is_complete false when a node could not be reached, or a worker did not answer in time
function Nodes:collect(op, args)
  local request = { id = self:new_id(), op = op, args = args, waits = true, is_read = true, seconds = self.wait }
  local await = self:begin(request, "")
  local results, is_complete = self.bus:call_all(op, args)
  local outcome = await()
  for _, result in ipairs(outcome.results) do
    results[#results + 1] = result
  end
  return results, is_complete and not (outcome.is_away or outcome.is_incomplete or #outcome.missing > 0)
end

--- Whether a request is not finished.
---@return boolean
function Nodes:is_busy() return self.count > 0 end

return Nodes
