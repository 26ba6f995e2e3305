-- The other nodes of the cluster, for every worker of this one: sends requests to them.
-- One worker holds the link to Redis (link_holder.lua); the others reach it over the bus. A request that the holder has not
-- finished is sent again when another worker takes over; nodes run it once.

local Kept = require "framegate.cluster.kept"
local Task = require "framegate.runtime.task"
local semaphore = require "ngx.semaphore"

---@class Nodes
local Nodes = {}
Nodes.__index = Nodes

local LOOK_SECONDS = 0.1
local LATE_SECONDS = 1 -- after the deadline, for the holder's word

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
  }, Nodes)
  self.kept = Kept.new { max_bytes = parts.max_bytes, give_up = function(entry) self:give_up(entry) end }
  self.looking = Task.new("the wait for other nodes", function() self:look_while_busy() end)
  return self
end

--- Whether this gateway is in no cluster.
---@return boolean
function Nodes:is_alone() return not self.holders:is_clustered() end

local function finish(self, entry, outcome)
  if entry.is_finished then
    return
  end
  entry.is_finished, entry.payload = true, nil
  self.entries[entry], self.count = nil, self.count - 1
  if not entry.request.waits then
    self.kept:finished(entry)
    if outcome.is_away or #outcome.missing > 0 then
      self.on_lost()
    end
  end
  entry.on_done(outcome)
end

---@private
function Nodes:give_up(entry) finish(self, entry, { results = {}, missing = {}, is_away = true }) end

-- Hands an entry to the worker that holds the link, if there is one.
local function hand_over(self, entry)
  local holder = self.holders:current()
  if not holder then
    return
  end
  local request = { op = "ask_nodes", args = entry.request, payload = entry.payload }
  entry.is_with_holder = true
  self.bus:ask(holder, request, function(outcome)
    if outcome then
      return finish(self, entry, outcome)
    end
    entry.is_with_holder = false
  end)
end

local function look(self)
  local now = self.now()
  for entry in pairs(self.entries) do
    if now > entry.deadline + (entry.is_with_holder and LATE_SECONDS or 0) then
      self:give_up(entry)
    elseif not entry.is_with_holder then
      entry.request.seconds = math.max(entry.deadline - now, 0)
      hand_over(self, entry)
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
  self.entries[entry], self.count = true, self.count + 1
  if not request.waits then
    self.kept:add(entry)
  end
  if not entry.is_finished then
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
