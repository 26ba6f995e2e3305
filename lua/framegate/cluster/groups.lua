-- The groups of sockets that this worker has: topics with a subscriber, and users with a connection.
-- The worker that holds the link to Redis subscribes to their channels. It gets changes in batches, and all groups when it is
-- new.

local Log = require "framegate.runtime.log"
local Task = require "framegate.runtime.task"
local semaphore = require "ngx.semaphore"

---@class Groups
local Groups = {}
Groups.__index = Groups

local WAIT_SECONDS = 2
local RETRY_SECONDS = 0.05

---@param parts { own: string, holders: Holders, bus: Bus, now: (fun(): number), has: (fun(group: string): boolean),
--- all: fun(): string[] } `has` and `all` read the registry: whether this worker has a group, and all groups that it has
---@return Groups
function Groups.new(parts)
  local self = setmetatable({
    own = parts.own, -- name of this worker
    holders = parts.holders,
    bus = parts.bus,
    now = parts.now,
    has = parts.has,
    all = parts.all,
    changed = {}, -- groups that came or went since the last report, as keys
    known = {}, -- holders that got all groups, by name
    number = 0, -- of changes
    reported = 0, -- up to this one
    waiting = {},
    has_stopped = false,
  }, Groups)
  self.reporting = Task.new("the report of topics and users", function() self:report() end)
  return self
end

local function delta(self, changed)
  local change = { add = {}, remove = {} }
  for group in pairs(changed) do
    local list = self.has(group) and change.add or change.remove
    list[#list + 1] = group
  end
  return change
end

-- A holder that does not answer gets everything when it can be reached again.
local function report_to(self, holder, changed)
  local change = self.known[holder] and delta(self, changed) or { is_all = true, add = self.all(), remove = {} }
  self.known[holder] = true
  local result = self.bus:call(holder, "change_groups", { worker = self.own, change = change })
  if not result or not result.ok then
    self.known[holder] = nil
    return false
  end
  return true
end

-- Returns whether each holder has it.
local function report_to_all(self, changed)
  local is_complete, is_holder = true, {}
  for _, holder in ipairs(self.holders:all()) do
    is_holder[holder] = true
    if next(changed) or not self.known[holder] then
      is_complete = report_to(self, holder, changed) and is_complete
    end
  end
  for holder in pairs(self.known) do
    self.known[holder] = is_holder[holder] and self.known[holder] or nil
  end
  return is_complete
end

local function has_no_holder(self) return not self.holders:is_clustered() or #self.holders:all() == 0 end

-- One that fails must not keep the others waiting.
local function finish(wait)
  local ok, err = xpcall(wait.on_done, debug.traceback)
  if not ok then
    Log.error(nil, "what waited for a subscription failed: ", err)
  end
end

-- Ends the waits for changes up to the last report, and those that are too long. While Redis is away nobody waits.
local function wake(self)
  local waiting, now, is_alone = self.waiting, self.now(), has_no_holder(self)
  self.waiting = {}
  for _, wait in ipairs(waiting) do
    if wait.number <= self.reported or is_alone or now > wait.deadline then
      finish(wait)
    else
      self.waiting[#self.waiting + 1] = wait
    end
  end
end

local function is_known_to_all(self)
  for _, holder in ipairs(self.holders:all()) do
    if not self.known[holder] then
      return false
    end
  end
  return true
end

---@private
function Groups:report()
  repeat
    local changed, number = self.changed, self.number
    self.changed = {}
    if report_to_all(self, changed) then
      self.reported = number
    else
      ngx.sleep(RETRY_SECONDS)
    end
    wake(self)
  until self.has_stopped or not self.holders:is_clustered() or self.reported == self.number and is_known_to_all(self)
end

--- Takes note that a group came or went. Does not yield.
---@param group string "topic:<name>" or "user:<name>"
function Groups:change(group)
  if not self.holders:is_clustered() then
    return
  end
  self.changed[group], self.number = true, self.number + 1
  self.reporting:begin()
end

--- Reports all groups to a new holder. Does not yield.
---@param holder string name of the worker
function Groups:tell(holder)
  self.known[holder] = nil
  self.reporting:begin()
end

--- Ends a report that still tries to reach a holder.
function Groups:stop() self.has_stopped = true end

--- Whether Redis has confirmed all changes so far.
---@return boolean
function Groups:is_known() return self.reported >= self.number or not self.holders:is_clustered() end

--- Calls a function when Redis has confirmed all changes so far, or is away; after a few seconds in any case. Does not yield.
---@param on_done fun() must not yield
function Groups:when_known(on_done)
  if self:is_known() then
    return on_done()
  end
  self.waiting[#self.waiting + 1] = { number = self.number, deadline = self.now() + WAIT_SECONDS, on_done = on_done }
end

--- Waits until Redis has confirmed all changes so far, at most 2 s; not while Redis is away.
function Groups:await()
  if self:is_known() then
    return
  end
  local known = semaphore.new()
  self:when_known(function() known:post() end)
  known:wait(WAIT_SECONDS)
end

return Groups
