-- Decides which worker of this node holds the link to Redis: the oldest one of the newest configuration that is not leaving.
-- (An older configuration has an older REDIS_URL, and lives as long as its sockets.)
-- The next holder subscribes first and then takes over. Both receive meanwhile; succession.lua lets one of them run requests.

local Log = require "framegate.runtime.log"
local Threads = require "framegate.runtime.threads"
local semaphore = require "ngx.semaphore"

---@class LinkHolder
---@field link NodeLink? while this worker has one
local LinkHolder = {}
LinkHolder.__index = LinkHolder

local LOOK_SECONDS = 0.5
local BUSY_SECONDS = 0.05 -- while a worker has not reported its topics
local SUCCESSOR_SECONDS = 1 -- for which a worker that ends waits for another one to take over
local FINISH_SECONDS = 10 -- for what a former holder has under way

---@param parts { members: Members, holders: Holders, bus: Bus, now: (fun(): number), is_enabled: boolean,
--- new_link: fun(on_ready: fun()): NodeLink } `is_enabled`: whether this worker's configuration has a REDIS_URL
---@return LinkHolder
function LinkHolder.new(parts)
  local self = setmetatable({
    members = parts.members,
    holders = parts.holders,
    bus = parts.bus,
    now = parts.now,
    is_enabled = parts.is_enabled,
    new_link = parts.new_link,
    changed = semaphore.new(),
    has_stopped = false,
  }, LinkHolder)
  parts.bus:watch(function() self.changed:post() end)
  return self
end

local function begin(self)
  self.link = self.new_link(function()
    if self.holders:should_hold() then -- not if it is back for the last requests of a former holder
      self.holders:take_over()
    end
  end)
  self.holders:prepare()
  self.bus:tell_all("tell_groups", { holder = self.members:worker() }, "")
  self.link:start()
end

local function finish(self)
  self.finish_until = self.finish_until or self.now() + FINISH_SECONDS
  self.link:give_back()
  if self.link:is_busy() and self.now() < self.finish_until then
    return
  end
  if self.holders:is_clustered() then
    self.link:stop()
  else
    self.link:leave "leaves"
  end
  self.link, self.finish_until = nil, nil
  self.holders:resign()
end

local function ignore() end

-- A worker that did not hear that there is a new holder is asked again. Returns whether there is one.
local function ask_for_groups(self)
  local missing = self.link:update_workers()
  for _, worker in ipairs(missing) do
    local request = { op = "tell_groups", args = { holder = self.members:worker() }, payload = "" }
    self.bus:ask(worker, request, ignore)
  end
  return #missing > 0
end

-- Whether another worker has taken over, or the newest configuration belongs to no cluster.
local function is_former(self)
  return not self.holders:is_clustered() or not self.holders:is_own() and not self.holders:should_hold()
end

local function look(self)
  if not self.link then
    if self.is_enabled and self.holders:should_hold() then
      begin(self)
    end
  elseif is_former(self) then
    finish(self)
  elseif not self.holders:is_alive() then
    self.holders:take_over() -- before the link is up, because nobody else has one: requests wait here
  end
  self.is_incomplete = self.link ~= nil and ask_for_groups(self)
end

local function run(_, self)
  while not self.has_stopped do
    local ok, err = xpcall(look, debug.traceback, self)
    if not ok then
      Log.error(nil, "the choice of the worker that holds the link to Redis failed: ", err)
    end
    self.changed:wait(self.is_incomplete and BUSY_SECONDS or LOOK_SECONDS)
  end
end

--- Begins to watch which worker should hold the link, if there is a Redis.
function LinkHolder:start()
  if not self.is_enabled then
    return
  end
  Threads.run(run, self, function(_, err)
    Log.warn(nil, "the link to Redis could not begin, and is tried again: ", err)
    self:start()
  end)
end

--- Begins anew under a new id, because this node was buried. Does not yield.
function LinkHolder:begin_anew()
  if self.link then
    self.link:stop()
    self.link = nil
    self.changed:post()
  end
end

-- Whether other workers need the link. One that serves takes over, unless it is about to end too: that shows in a moment.
local function is_needed(self)
  self.needed_until = self.needed_until or self.now() + SUCCESSOR_SECONDS
  local has_others = false
  for _, other in ipairs(self.holders:is_own() and self.members:others() or {}) do
    if self.members:is_alive(other) then
      has_others = true
      if not other.is_leaving and self.now() > self.needed_until then
        return false
      end
    end
  end
  return has_others
end

--- Whether the link has something under way, or other workers of a gateway that stops still need it.
---@return boolean
function LinkHolder:is_busy() return self.link ~= nil and (self.link:is_busy() or is_needed(self)) end

--- Ends the link, because this worker ends. When the gateway stops, the lease ends too.
function LinkHolder:stop()
  self.has_stopped = true
  self.changed:post()
  if self.link and self.members:is_stopping() and self.holders:is_own() then
    self.link:leave "stops"
  elseif self.link then
    self.link:stop()
  end
  self.link = nil
  self.holders:resign()
end

return LinkHolder
