-- The histories of topics: which topics are kept (HISTORY), the frames that they keep, and the positions in them.
-- The store is the truth. feeds.lua delivers in its order.

local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local HistoryBlocks = require "framegate.push.history_blocks"
local HistoryMetrics = require "framegate.telemetry.history_metrics"
local HistoryStore = require "framegate.push.history_store"
local KeptTopics = require "framegate.push.kept_topics"
local Position = require "framegate.push.position"

---@class History
---@field private rules { prefix: string, frames: integer, seconds: number }[] the longest prefix first
---@field store HistoryStore? nil when no topic is kept
local History = {}
History.__index = History

---@param parts { rules: table[], frames: table?, topics: table?, locks: table, now: (fun(): number), time: (fun(): number),
--- count: fun(what: string, frames: integer) }
--- `frames`, `topics` and `locks`: shared dictionaries of ngx_lua; `now`: Clock.monotonic; `time`: seconds since 1970;
--- `count`: as HistoryMetrics.count
---@return History
function History.new(parts)
  local self = setmetatable({ rules = parts.rules, now = parts.now, time = parts.time }, History)
  self.rule = function(topic) return self:rule_of(topic) end
  if parts.rules[1] and parts.frames and parts.topics then
    self.store = HistoryStore.new {
      frames = parts.frames,
      topics = parts.topics,
      locks = parts.locks,
      now = parts.now,
      count = parts.count,
    }
  end
  return self
end

--- Makes the histories of this gateway. Runs in the master, before workers start. After a reload everything is there.
---@return History
function History.init()
  local shared = ngx.shared
  local self = History.new {
    rules = Config.HISTORY,
    frames = shared.history,
    topics = shared.history_topics,
    locks = shared.gateway,
    now = Clock.monotonic,
    time = ngx.now,
    count = HistoryMetrics.count,
  }
  if self.store then
    self.store:init()
  end
  return self
end

--- How much of a topic is kept.
---@param topic string
---@return { prefix: string, frames: integer, seconds: number }? rule nil when it is not kept
function History:rule_of(topic) return self.store and KeptTopics.rule_of(self.rules, topic) or nil end

local function open(self, topic) return self.store:open(topic, self.rule) end

--- Stores a frame, before any worker delivers it.
---@param topic string
---@param frame { payload: string, is_text: boolean, except: string?, replace: string? }
---@return Place? place in the topic's order; nil when the frame has none
---@return string? position nil when the frame is not kept
function History:keep(topic, frame)
  local rule = self:rule_of(topic)
  if not rule or #frame.payload > HistoryBlocks.MAX_PAYLOAD then
    return nil
  end
  frame.stored_at, frame.time = self.now(), self.time()
  local id = open(self, topic)
  local offset, is_kept
  if id then
    offset, is_kept = self.store:append(id, rule, frame)
  end
  if not offset then
    return nil
  end
  local place = { epoch = self.store:epoch(), id = id, offset = offset }
  return place, is_kept and Position.encode(place) or nil
end

-- The first offset that a reader may get.
local function floor_of(self, id, rule)
  local first, top = self.store:first(id), self.store:top(id)
  return first and top and math.max(first, top - rule.frames + 1)
end

local function is_old(self, frame, rule) return self.now() - frame.stored_at > rule.seconds end

local HEADER_BYTES = 10 -- of a frame on the wire, at most (RFC 6455 section 5.2)

local function bytes_of(frame) return frame and #frame.payload + HEADER_BYTES or 0 end

---@class Range
---@field id integer number of the topic
---@field rule HistoryBounds
---@field through integer the last offset to read
---@field max_bytes number of frames

-- Reads from the newest to the oldest, as many as there are and fit.
local function read_last(self, range, count)
  local newest_first, bytes = {}, 0
  local offset, floor = range.through, floor_of(self, range.id, range.rule) or math.huge
  while offset >= floor and #newest_first < count do
    local frame = self.store:read(range.id, offset)
    bytes = bytes + bytes_of(frame)
    if frame and (is_old(self, frame, range.rule) or bytes > range.max_bytes) then
      break
    elseif frame then
      frame.offset = offset
      newest_first[#newest_first + 1] = frame
    end
    offset = offset - 1
  end
  local frames = {}
  for i = #newest_first, 1, -1 do
    frames[#frames + 1] = newest_first[i]
  end
  return frames
end

-- Reads all behind an offset, or nothing when a part of it is gone or does not fit.
local function read_after(self, range, after)
  local floor = floor_of(self, range.id, range.rule)
  if not floor or after + 1 < floor or after > self.store:top(range.id) then
    return nil
  end
  local frames, bytes = {}, 0
  for offset = after + 1, range.through do
    local frame = self.store:read(range.id, offset)
    bytes = bytes + bytes_of(frame)
    if frame and bytes > range.max_bytes then
      return nil
    elseif frame then
      frame.offset = offset
      frames[#frames + 1] = frame
    end
  end
  local is_whole = (floor_of(self, range.id, range.rule) or math.huge) <= after + 1
    and not (frames[1] and is_old(self, frames[1], range.rule))
  return is_whole and frames or nil
end

--- The offset of a position.
---@param text string
---@param id integer number of the topic
---@return integer? offset nil when it is not a position in this history
function History:offset_of(text, id)
  local place = Position.decode(text)
  return place and place.epoch == self.store:epoch() and place.id == id and place.offset or nil
end

--- Reads frames, the oldest first.
---@param topic string that is kept
---@param wanted { last: integer?, after: string? } how many, or everything behind a position
---@param limits { through: integer?, max_bytes: integer } `through`: offset of the last one; by default the last that
--- nothing can come before any more
---@return KeptFrame[]? frames with `offset`; nil when what is behind the position cannot be given whole
---@return string? position of the end
---@return integer? id number of the topic
function History:read(topic, wanted, limits)
  local id = open(self, topic)
  local through = id and (limits.through or self.store:settled(id))
  if not through then
    return nil
  end
  local range = { id = id, rule = self:rule_of(topic), through = through, max_bytes = limits.max_bytes }
  if not wanted.after then
    return read_last(self, range, wanted.last), self:position(id, through), id
  end
  local after = self:offset_of(wanted.after, id)
  if not after then
    return nil
  end
  return read_after(self, range, after), self:position(id, math.max(through, after)), id
end

---@param id integer number of a topic
---@param offset integer
---@return string
function History:position(id, offset) return Position.encode { epoch = self.store:epoch(), id = id, offset = offset } end

return History
