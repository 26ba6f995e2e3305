-- Sends a request to other nodes over Redis: to all that have sockets for it, or again to one.

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

--- Sends a request to all its nodes. Does not yield.
---@param flight Flight
---@param on_counted fun() called when Redis has counted the receivers
function RequestSender:send(flight, on_counted)
  local ids = flight:unanswered(self.roster)
  local args = { channel_of(self, flight.request), flight.text, self.channels:node(self.own) }
  for i, id in ipairs(ids) do
    args[i + 3] = self.channels:node(id)
  end
  flight:reset()
  flight.was_known = flight.was_known or #ids > 0
  self.link:eval(PUBLISH, {}, args, function(counts)
    if counts and not flight.is_finished then
      flight:published(ids, counts)
      on_counted()
    end
  end)
end

--- Sends a request again to one node. Does not yield.
---@param flight Flight
---@param id string of the node
---@param is_new boolean? whether the node has a new link
function RequestSender:send_again(flight, id, is_new)
  flight:repeated(id, is_new)
  self.link:command(nil, "PUBLISH", self.channels:node(id), flight.text)
end

return RequestSender
