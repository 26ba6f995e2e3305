-- Requests to other nodes over Redis: sent, repeated, and given up at their deadline. In the worker that holds the link.

local Flight = require "framegate.cluster.flight"
local Kept = require "framegate.cluster.kept"

---@class NodeRequest
---@field id string unique in the cluster: a node runs it once
---@field op string as worker/operations.lua has it
---@field args table
---@field to string? id of the node; nil for all
---@field worker string? of that node; nil for all its workers
---@field group string? only nodes with sockets in it: "topic:<name>" or "user:<name>"
---@field waits boolean? whether somebody waits for the results
---@field is_read boolean? whether it changes nothing, so that it may be run again
---@field seconds number until it is given up

---@class NodeRequests
local NodeRequests = {}
NodeRequests.__index = NodeRequests

local REPEAT_SECONDS = 0.5

-- Gives the number of links that got the message, and for each node the number of its links.
local PUBLISH = [[
local channels = {}
for i = 3, #ARGV do
  channels[#channels + 1] = ARGV[i]
end
local counts = { redis.call('PUBLISH', ARGV[1], ARGV[2]) }
local links = #channels > 0 and redis.call('PUBSUB', 'NUMSUB', unpack(channels)) or {}
for i = 2, #links, 2 do
  counts[#counts + 1] = links[i]
end
return counts
]]

local function finish(self, flight)
  self.flights[flight.request.id], self.count = nil, self.count - 1
  flight.is_finished, flight.text = true, nil
  if not flight.request.waits then
    self.kept:finished(flight)
  end
  flight.on_done(flight.outcome)
end

local function give_up(self, flight)
  flight.outcome.missing, flight.outcome.is_away = flight:unanswered(self.roster), not self.is_ready()
  finish(self, flight)
end

local function check(self, flight)
  if not flight.is_finished and flight:is_complete(self.roster) then
    finish(self, flight)
  end
end

local function channel_of(self, request)
  if request.to then
    return self.channels:node(request.to)
  end
  return request.group and self.channels:group(request.group) or self.channels.all
end

-- Sends a request to all its nodes.
local function transmit(self, flight)
  local ids = flight:unanswered(self.roster)
  local args = { channel_of(self, flight.request), flight.text }
  for i, id in ipairs(ids) do
    args[i + 2] = self.channels:node(id)
  end
  flight:reset()
  flight.repeat_at = self.now() + REPEAT_SECONDS
  self.link:eval(PUBLISH, {}, args, function(counts)
    if counts and not flight.is_finished then
      flight:published(ids, counts)
      check(self, flight)
    end
  end)
end

local function repeat_to(self, flight, id)
  self.link:command(function() end, "PUBLISH", self.channels:node(id), flight.text)
end

---@param parts { own: string, link: RedisLink, roster: Roster, channels: Channels, now: (fun(): number),
--- max_bytes: integer, is_ready: fun(): boolean } `max_bytes` of requests that nobody waits for; `is_ready`: whether the link
--- may be used now
---@return NodeRequests
function NodeRequests.new(parts)
  local self = setmetatable({
    own = parts.own,
    link = parts.link,
    roster = parts.roster,
    channels = parts.channels,
    now = parts.now,
    is_ready = parts.is_ready,
    flights = {}, -- by id of the request
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

--- Sends a request. If somebody waits for its results and Redis is away, it is given up immediately. Does not yield.
---@param request NodeRequest
---@param payload string
---@param on_done fun(outcome: NodeOutcome) called once; must not yield
function NodeRequests:send(request, payload, on_done)
  if self.flights[request.id] then
    return join(self.flights[request.id], on_done)
  end
  local flight, is_ready = new_flight(self, request, payload, on_done), self.is_ready()
  if request.waits and not is_ready then
    return give_up(self, flight)
  elseif not request.waits then
    self.kept:add(flight)
  end
  if is_ready and not flight.is_finished then
    transmit(self, flight)
    check(self, flight)
  end
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

local function in_order(self)
  local flights = {}
  for _, flight in pairs(self.flights) do
    flights[#flights + 1] = flight
  end
  table.sort(flights, function(a, b) return a.number < b.number end)
  return flights
end

--- Sends everything again over a new link.
function NodeRequests:resume()
  for _, flight in ipairs(in_order(self)) do
    transmit(self, flight)
  end
end

--- Repeats what a node has not answered, because it has a new link.
---@param id string of the node
function NodeRequests:repeat_all(id)
  for _, flight in ipairs(in_order(self)) do
    local to = flight.request.to
    if (not to or to == id) and not flight.answers[id] and flight.receivers then
      flight.unlinked[id] = true
      repeat_to(self, flight, id)
    end
  end
end

--- Ends what waited for a node that is gone.
function NodeRequests:check_all()
  for _, flight in ipairs(in_order(self)) do
    check(self, flight)
  end
end

--- Gives up what is over its deadline. Repeats, once, what was not answered in time.
function NodeRequests:look()
  local now = self.now()
  for _, flight in ipairs(in_order(self)) do
    if now > flight.deadline then
      give_up(self, flight)
    elseif flight.receivers and flight.repeat_at and now > flight.repeat_at then
      flight.repeat_at = nil
      for _, id in ipairs(flight:unanswered(self.roster)) do
        repeat_to(self, flight, id)
      end
    end
  end
end

return NodeRequests
