-- One kept topic in one worker: delivers its frames in the order of their offsets, each once.
-- A message from another worker is only a hint. What a hint leaves out is read from the store, and a hole in the store is
-- skipped when it has stayed one for a second.

local HistoryStore = require "framegate.push.history_store"

---@class Feed
---@field id integer number of the topic; 0 while nothing was published to it
---@field last integer offset of the last delivered frame
---@field highest integer the highest offset that is known
---@field private pending table<integer, table> hints that wait for those before them, by offset
---@field private floors table<Connection, integer> connections that have had frames beyond `last`, and up to which
local Feed = {}
Feed.__index = Feed

local NOTHING = { delivered = 0, dropped = 0 }
local KEPT_COUNTS = 1000

---@class FeedParts
---@field topic string
---@field id integer
---@field last integer
---@field read fun(id: integer, offset: integer): KeptFrame?
---@field deliver fun(args: table, payload: string): { delivered: integer, dropped: integer }
---@field now fun(): number Clock.monotonic

---@param parts FeedParts
---@return Feed
function Feed.new(parts)
  return setmetatable({
    topic = parts.topic,
    id = parts.id,
    last = parts.last,
    highest = parts.last,
    read = parts.read,
    deliver = parts.deliver,
    now = parts.now,
    pending = {},
    counts = {}, -- of frames that were delivered before their hint came, by offset
    former_counts = {},
    count = 0, -- of entries in `counts`
    floors = {},
    stuck = nil, -- {since, highest}: waits for the frame behind `last`
  }, Feed)
end

local function note_counts(self, offset, counts)
  self.counts[offset], self.count = counts, self.count + 1
  if self.count > KEPT_COUNTS then
    self.former_counts, self.counts, self.count = self.counts, {}, 0
  end
end

-- The connections that have had a frame already, as keys.
local function skipped(self, offset)
  if not next(self.floors) then
    return nil
  end
  local skips = {}
  for connection, floor in pairs(self.floors) do
    if offset < floor then
      skips[connection] = true
    elseif offset == floor then
      skips[connection], self.floors[connection] = true, nil
    else
      self.floors[connection] = nil
    end
  end
  return skips
end

local function deliver(self, offset, frame)
  return self.deliver({
    topic = self.topic,
    is_text = frame.is_text,
    except = frame.except,
    replace = frame.replace,
    skips = skipped(self, offset),
  }, frame.payload)
end

local function settle(entry, counts)
  entry.counts = counts
  if entry.reply then
    entry.reply(counts)
  end
end

-- Delivers the frame behind the last one, if it is there.
local function step(self)
  local offset = self.last + 1
  local entry = self.pending[offset]
  local frame = entry and entry.frame or self.read(self.id, offset)
  if not frame then
    return false
  end
  self.last, self.pending[offset] = offset, nil
  local counts = frame.is_had and NOTHING or deliver(self, offset, frame)
  if entry then
    settle(entry, counts)
  else
    note_counts(self, offset, counts)
  end
  return true
end

--- Delivers what can be delivered in order.
function Feed:advance()
  while self.last < self.highest and step(self) do
    self.stuck = nil
  end
  if self.last < self.highest then
    self.stuck = self.stuck or { since = self.now(), highest = self.highest }
  end
end

--- Whether it waits for a frame that its writer has not stored yet.
---@return boolean
function Feed:is_stuck() return self.stuck ~= nil and self.last < self.highest end

--- Looks again for the frame that it waits for, and skips it after a second.
function Feed:look()
  self:advance()
  local stuck = self.stuck
  if not self:is_stuck() or self.now() - stuck.since < HistoryStore.HOLE_SECONDS then
    return
  end
  self:skip_through(stuck.highest)
end

--- Delivers the frames up to an offset, and skips those that are not there.
---@param offset integer
function Feed:skip_through(offset)
  self.highest = math.max(self.highest, offset)
  while self.last < offset do
    if not step(self) then
      self.last = self.last + 1
    end
  end
  self.stuck = nil
  self:advance()
end

--- Takes note that the store has frames up to an offset, and delivers them.
---@param top integer
function Feed:catch_up(top)
  self.highest = math.max(self.highest, top)
  self:advance()
end

--- Accepts a hint.
---@param offset integer
---@param frame { payload: string, is_text: boolean, except: string?, replace: string?, is_had: boolean? } `is_had`: it was
--- delivered before, and has only a place
---@return table counts, or a function that gets a function which accepts them later (see Bus)
function Feed:arrive(offset, frame)
  if offset <= self.last then
    return self.counts[offset] or self.former_counts[offset] or NOTHING
  end
  if frame.is_had and self.pending[offset] then
    return NOTHING -- it waits here, and is delivered in its turn
  end
  local entry = { frame = frame }
  self.pending[offset] = entry
  self:catch_up(offset)
  return entry.counts or function(reply) entry.reply = reply end
end

--- Delivers nothing up to an offset to a connection that has had it already.
---@param connection Connection
---@param offset integer
function Feed:set_floor(connection, offset)
  if offset > self.last then
    self.floors[connection] = offset
  end
end

--- The offset of the last frame that a connection was sent.
---@param connection Connection
---@return integer
function Feed:last_of(connection) return math.max(self.last, self.floors[connection] or 0) end

--- Takes out the hints that wait for those before them.
---@return { offset: integer, frame: table, settle: fun(counts: table) }[] waiting in the order of their offsets
function Feed:take_waiting()
  local waiting = {}
  for offset, entry in pairs(self.pending) do
    local function settle_it(counts) settle(entry, counts) end
    waiting[#waiting + 1] = { offset = offset, frame = entry.frame, settle = settle_it }
  end
  table.sort(waiting, function(a, b) return a.offset < b.offset end)
  self.pending = {}
  return waiting
end

--- Begins anew: the topic was forgotten, and what is published now has a new number. Or the epoch is another one.
---@param id integer
---@param last integer? offset of the last frame that is not delivered any more; 0 by default
function Feed:restart(id, last)
  self:finish()
  self.id, self.last, self.highest, self.stuck = id, last or 0, last or 0, nil
  self.counts, self.former_counts, self.count, self.floors = {}, {}, 0, {}
end

--- Ends: nobody subscribes here any more.
function Feed:finish()
  for _, entry in pairs(self.pending) do
    settle(entry, NOTHING)
  end
  self.pending = {}
end

return Feed
