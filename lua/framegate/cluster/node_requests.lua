-- Requests to other nodes over Redis: sent, repeated, and given up at their deadline. In the worker that holds the link.

local Flight = require "framegate.cluster.flight"
local Kept = require "framegate.cluster.kept"
local Queue = require "framegate.runtime.queue"
local RequestSender = require "framegate.cluster.request_sender"

---@class NodeRequest
---@field id string unique in the cluster: a node runs it once
---@field op string as worker/operations.lua has it
---@field args table
---@field to string? id of the node; nil for all
---@field worker string? of that node; nil for all its workers
---@field group string? only nodes with sockets in it: "topic:<name>" or "user:<name>"
---@field kept { bounds: StreamBounds, frame: StreamFrame }? what Redis stores before it publishes the request
---@field stream { bounds: StreamBounds, wanted: StreamWanted }? what is read from Redis, and then nothing is asked of nodes
---@field waits boolean? whether somebody waits for the results
---@field is_read boolean? whether it changes nothing, so that it may be run again
---@field seconds number until it is given up

---@class NodeRequests
local NodeRequests = {}
NodeRequests.__index = NodeRequests

local REPEAT_SECONDS = 0.5
local TURN = 500 -- requests sent in one turn of the worker, because the sockets of this worker wait meanwhile

local function finish(self, flight, outcome)
  self.flights[flight.request.id], self.count = nil, self.count - 1
  flight.is_finished, flight.text = true, nil
  if not flight.request.waits then
    self.kept:finished(flight)
  end
  flight.on_done(outcome)
end

local function give_up(self, flight)
  local to = flight.request.to
  flight.outcome.missing = to and { to } or flight:unanswered(self.roster)
  flight.outcome.is_away = not flight.receivers or not self.is_ready()
  flight.outcome.is_incomplete = flight.outcome.is_incomplete or flight:waits_for_own() or nil
  finish(self, flight, flight.outcome)
end

local function check(self, flight)
  if not flight.is_finished and flight:is_complete(self.roster) then
    finish(self, flight, flight.outcome)
  end
end

local function transmit(self, flight)
  flight.repeat_at = self.now() + REPEAT_SECONDS
  self.sender:send(flight, function() check(self, flight) end)
end

---@param parts { own: string, link: RedisLink, roster: Roster, channels: Channels, now: (fun(): number),
--- max_bytes: integer, is_ready: (fun(): boolean), is_away: fun(): boolean } `max_bytes` of requests that nobody waits for;
--- `is_ready`: whether the link may be used now; `is_away`: whether it could not for so long that nobody should wait
---@return NodeRequests
function NodeRequests.new(parts)
  local self = setmetatable({
    own = parts.own,
    sender = RequestSender.new(parts),
    roster = parts.roster,
    now = parts.now,
    is_ready = parts.is_ready,
    is_away = parts.is_away,
    flights = {}, -- by id of the request
    unsent = Queue.new(), -- those that were not sent over the present link, in their order
    count = 0,
    last = 0,
  }, NodeRequests)
  self.kept = Kept.new { max_bytes = parts.max_bytes, give_up = function(flight) give_up(self, flight) end }
  return self
end

local function new_flight(self, request, payload, on_done)
  local flight = Flight.new(self.own, request, payload)
  self.last, self.count = self.last + 1, self.count + 1
  flight.number, flight.on_done, flight.deadline = self.last, on_done, self.now() + request.seconds
  self.flights[request.id] = flight
  return flight
end

-- The same request is under way already: it gets the same outcome.
local function join(flight, on_done)
  local first = flight.on_done
  flight.on_done = function(outcome)
    first(outcome)
    on_done(outcome)
  end
end

--- Sends what was not sent over the present link, in its order; not everything in one turn.
---@return boolean has_more
function NodeRequests:send_unsent()
  for _ = 1, TURN do
    local flight = self.is_ready() and self.unsent:pop()
    if not flight then
      return false
    elseif not flight.is_finished then
      transmit(self, flight)
      check(self, flight)
    end
  end
  return self.unsent:peek() ~= nil
end

--- Sends a request. If somebody waits for its results and Redis is away, it is given up immediately. Does not yield.
---@param request NodeRequest
---@param payload string
---@param on_done fun(outcome: NodeOutcome?) called once, with nil after `give_back`; must not yield
function NodeRequests:send(request, payload, on_done)
  if self.flights[request.id] then
    return join(self.flights[request.id], on_done)
  end
  local flight = new_flight(self, request, payload, on_done)
  if request.waits and self.is_away() then
    return give_up(self, flight)
  elseif not request.waits then
    self.kept:add(flight)
  end
  self.unsent:push(flight)
  self:send_unsent()
end

--- Takes note that a request of this node has come back to it.
---@param id string of the request
function NodeRequests:came_back(id)
  local flight = self.flights[id]
  if flight and not flight.receivers then
    flight.includes_own = true
  end
end

--- Takes the answer of a node.
---@param from string id of the node
---@param answer { id: string, results: table[], is_incomplete: boolean? }
function NodeRequests:answered(from, answer)
  local flight = self.flights[answer.id]
  if flight then
    flight:answer(from, answer)
    check(self, flight)
  end
end

local function by_number(a, b) return a.number < b.number end

-- The flights for which a function gives true, in their order.
local function those(self, is_chosen)
  local flights = {}
  for _, flight in pairs(self.flights) do
    flights[#flights + 1] = is_chosen(flight) and flight or nil
  end
  table.sort(flights, by_number)
  return flights
end

local function any() return true end

--- Sends everything again over a new link.
function NodeRequests:resume()
  self.unsent = Queue.new()
  for _, flight in ipairs(those(self, any)) do
    self.unsent:push(flight)
  end
  self:send_unsent()
end

--- Ends everything without an outcome, because another worker sends it: `on_done` gets nil.
function NodeRequests:give_back()
  for _, flight in ipairs(those(self, any)) do
    finish(self, flight, nil)
  end
end

--- Repeats what a node has not answered, because it has a new link.
---@param id string of the node
function NodeRequests:repeat_all(id)
  local function is_open(flight)
    local to = flight.request.to
    return (not to or to == id) and not flight.answers[id] and flight.receivers
  end
  for _, flight in ipairs(those(self, is_open)) do
    self.sender:send_again(flight, id, true)
  end
end

--- Ends what waited for a node that is gone.
function NodeRequests:check_all()
  for _, flight in ipairs(those(self, any)) do
    check(self, flight)
  end
end

-- Repeats a request to all that have not answered it.
local function repeat_once(self, flight)
  flight.repeat_at, flight.is_repeated = nil, true
  for _, id in ipairs(flight:unanswered(self.roster)) do
    self.sender:send_again(flight, id)
  end
  check(self, flight)
end

-- While Redis is away, nothing else takes them out.
local function drop_finished(queue)
  while queue:peek() and queue:peek().is_finished do
    queue:pop()
  end
end

--- Gives up what is over its deadline. Repeats, once, what was not answered in time.
function NodeRequests:look()
  local now = self.now()
  local function is_late(flight)
    return now > flight.deadline or flight.receivers and flight.repeat_at and now > flight.repeat_at
  end
  for _, flight in ipairs(those(self, is_late)) do
    if now > flight.deadline then
      give_up(self, flight)
    else
      repeat_once(self, flight)
    end
  end
  drop_finished(self.unsent)
end

return NodeRequests
