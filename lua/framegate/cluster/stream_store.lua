-- Kept topics in Redis: a stream for each, with the id <offset>-<milliseconds since 1970>, and a hash of facts about it.
-- One script stores a frame and publishes it, so the order of offsets is the order in which every node gets the frames.

local Random = require "framegate.runtime.random"
local StreamScripts = require "framegate.cluster.stream_scripts"

local StreamStore = {}

local MIN_FACTS_MS = 120000
local TRIMMED = 1000 -- frames by age, at most, when one is stored

---@class StreamBounds
---@field topic string
---@field frames integer
---@field ms integer how long a frame is kept

---@class StreamFrame
---@field except string?
---@field replace string?
---@field is_text boolean
---@field ttl integer milliseconds for which a repeat of the request is recognized

---@class StreamWanted
---@field mode "last"|"after"|"gap" `after`: all or nothing; `gap`: what there is
---@field from integer how many frames, or the offset before the first
---@field epoch string? of that offset
---@field max_bytes integer
---@field before integer? with `last`: the offset behind them, when they are not those at the end

-- What both scripts get first.
local function arguments(link, bounds)
  local facts_ms = math.max(2 * bounds.ms, MIN_FACTS_MS)
  return { link.run_id or "", Random.name(8), bounds.frames, bounds.ms, facts_ms }
end

local function append(list, ...)
  for _, value in ipairs { ... } do
    list[#list + 1] = value
  end
  return list
end

---@class StreamPlace
---@field epoch string
---@field offset integer

--- Stores the frame of a request, unless a repeat of it was stored, and publishes the request with its place. Does not yield.
---@param node { link: RedisLink, channels: Channels }
---@param sent { id: string, bounds: StreamBounds, frame: StreamFrame, channel: string, head: string, payload: string,
--- channels: string[] } `channels`: this node's own and those of others
---@param on_done fun(place: StreamPlace?, counts: integer[]|RespError|"lost") the number of links that got it, then how many
--- each of `channels` has; must not yield
function StreamStore.keep(node, sent, on_done)
  local channels, bounds, frame = node.channels, sent.bounds, sent.frame
  local keys = { channels:facts(bounds.topic), channels:stream(bounds.topic), channels:kept(sent.id) }
  local args = arguments(node.link, bounds)
  append(args, frame.is_text and "t" or "b", frame.except or "", frame.replace or "", frame.ttl, TRIMMED)
  append(args, sent.channel, sent.head, sent.payload, unpack(sent.channels))
  node.link:eval(StreamScripts.KEEP, keys, args, function(reply, err)
    if not reply then
      return on_done(nil, err)
    end
    on_done({ epoch = reply[1], offset = reply[2] }, { unpack(reply, 3) })
  end)
end

local function optional(text) return text ~= "" and text or nil end

local function frames_of(list)
  local frames = {}
  for i, entry in ipairs(list) do
    frames[i] = {
      offset = entry[1],
      time = entry[2] / 1000,
      is_text = entry[3] == "t",
      except = optional(entry[4]),
      replace = optional(entry[5]),
      payload = entry[6],
    }
  end
  return frames
end

---@class StreamReply
---@field epoch string
---@field base integer the top when the epoch began
---@field top integer
---@field frames KeptFrame[]? with `offset`: a part of them, with `last` the newest first; nil when not all behind the offset can
--- be given
---@field has_more boolean?

--- Reads a page of frames of a topic: about as many as Redis reads in 10 ms. Does not yield.
---@param node { link: RedisLink, channels: Channels }
---@param bounds StreamBounds
---@param wanted StreamWanted
---@param on_done fun(reply: StreamReply?, err: RespError|"lost"|nil) must not yield
function StreamStore.read(node, bounds, wanted, on_done)
  local keys = { node.channels:facts(bounds.topic), node.channels:stream(bounds.topic) }
  local args = arguments(node.link, bounds)
  append(args, wanted.mode, wanted.from, wanted.epoch or "", wanted.max_bytes, wanted.before or "")
  node.link:eval(StreamScripts.READ, keys, args, function(reply, err)
    if not reply then
      return on_done(nil, err)
    end
    local state = reply[4]
    on_done {
      epoch = reply[1],
      base = reply[2],
      top = reply[3],
      frames = state > 0 and frames_of(reply[5]) or nil,
      has_more = state == 2 or nil,
    }
  end)
end

return StreamStore
