-- Sends a request to other nodes over Redis: to all that have sockets for it, or again to one. It is stored before, when it
-- carries a frame of a kept topic. A request that reads a kept topic ends with the reply of Redis.

local Log = require "framegate.runtime.log"
local Message = require "framegate.cluster.message"
local StreamStore = require "framegate.cluster.stream_store"

---@class RequestSender
local RequestSender = {}
RequestSender.__index = RequestSender

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

---@param parts { own: string, link: RedisLink, roster: Roster, channels: Channels } `own`: the id of this node
---@return RequestSender
function RequestSender.new(parts)
  return setmetatable(
    { own = parts.own, link = parts.link, roster = parts.roster, channels = parts.channels },
    RequestSender
  )
end

local function channel_of(self, request)
  if request.to then
    return self.channels:node(request.to)
  end
  return request.group and self.channels:group(request.group) or self.channels.all
end

-- The link ended, or it is reported by redis_link.lua and redis_traffic.lua already.
local function is_known(err) return err == "lost" or err.code == "NOPERM" or err.code == "READONLY" end

local function report(err)
  if not is_known(err) then
    local text = ("Redis refuses what HISTORY needs (%s %s): see its memory and its version"):format(
      err.code,
      err.message
    )
    Log.limited(Log.warn, "streams", nil, text)
  end
end

local function read(self, flight, on_counted)
  local stream = flight.request.stream
  StreamStore.read(self, stream.bounds, stream.wanted, function(reply, err)
    if err then
      return report(err)
    elseif not flight.is_finished then
      flight.outcome.stream = reply
      on_counted()
    end
  end)
end

local function keep(self, flight, channels, on_counts)
  local request = flight.request
  local head, payload = Message.split(flight.text)
  local sent = {
    id = request.id,
    bounds = request.kept.bounds,
    frame = request.kept.frame,
    channel = channel_of(self, request),
    head = head,
    payload = payload,
    channels = channels,
  }
  StreamStore.keep(self, sent, function(place, counts)
    if not place then
      return report(counts)
    elseif not flight.is_finished then
      flight:stored(place)
      on_counts(counts)
    end
  end)
end

local function publish(self, flight, channels, on_counts)
  local args = { channel_of(self, flight.request), flight.text, unpack(channels) }
  self.link:eval(PUBLISH, {}, args, function(counts)
    if counts and not flight.is_finished then
      on_counts(counts)
    end
  end)
end

--- Sends a request to all its nodes. Does not yield.
---@param flight Flight
---@param on_counted fun() called when Redis has counted the receivers, or has replied to a request that reads
function RequestSender:send(flight, on_counted)
  if flight.request.stream then
    return read(self, flight, on_counted)
  end
  local ids = flight:unanswered(self.roster)
  local channels = { self.channels:node(self.own) }
  for i, id in ipairs(ids) do
    channels[i + 1] = self.channels:node(id)
  end
  flight:reset()
  flight.was_known = flight.was_known or #ids > 0
  local send = flight.request.kept and keep or publish
  send(self, flight, channels, function(counts)
    flight:published(ids, counts)
    on_counted()
  end)
end

--- Sends a request again to one node. Does not yield.
---@param flight Flight
---@param id string of the node
---@param is_new boolean? whether the node has a new link
function RequestSender:send_again(flight, id, is_new)
  flight:repeated(id, is_new)
  self.link:command(nil, "PUBLISH", self.channels:node(id), flight:repeat_text())
end

return RequestSender
