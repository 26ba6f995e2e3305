-- Histories of topics in shared memory: appends frames, bounds them by number, age and memory, and reads them.
-- Workers append at the same time without waiting for each other: an offset is taken first, and its frame stored then. A
-- frame below the top that is not there is a hole: its writer is about to store it, or was killed.

local HistoryBlocks = require "framegate.push.history_blocks"
local HistoryRemoval = require "framegate.push.history_removal"
local HistoryTopics = require "framegate.push.history_topics"

---@class HistoryStore
local HistoryStore = {}
HistoryStore.__index = HistoryStore

--- After this time a hole is not filled any more, in seconds.
HistoryStore.HOLE_SECONDS = 1

local MAX_ROUNDS = 16 -- of making room for one frame
local FORGET_SECONDS = 1 -- between two searches for topics without frames

---@class HistoryBounds
---@field frames integer
---@field seconds number

---@param parts { frames: table, topics: table, locks: table, now: (fun(): number), count: fun(what: string, frames: integer) }
--- three shared dictionaries of ngx_lua; `now`: Clock.monotonic; `count`: as HistoryMetrics.count
---@return HistoryStore
function HistoryStore.new(parts)
  local blocks, topics = HistoryBlocks.new(parts.frames), HistoryTopics.new(parts.topics, parts.locks)
  return setmetatable({
    blocks = blocks,
    topics = topics,
    removal = HistoryRemoval.new {
      blocks = blocks,
      topics = topics,
      capacity = parts.frames:capacity() / HistoryBlocks.ENTRY,
      now = parts.now,
      count = parts.count,
    },
    now = parts.now,
    count = parts.count,
    forgot_at = nil,
  }, HistoryStore)
end

-- Stores the blocks of a frame, and removes older frames until they fit.
local function write(self, id, offset, blocks)
  local missing = self.blocks:write(id, offset, blocks, #blocks)
  local rounds = 0
  while missing > 0 and rounds < MAX_ROUNDS and self.removal:make_room(id, missing) > 0 do
    rounds = rounds + 1
    missing = self.blocks:write(id, offset, blocks, missing)
  end
  return missing == 0
end

-- A frame that was given up while it was being stored is removed by its writer.
local function is_kept(self, id, offset)
  local first = self.topics:first(id)
  if not first or first > offset then
    self.topics:add_blocks(id, -self.blocks:remove(id, offset))
    return false
  end
  return true
end

local function store(self, id, offset, frame)
  local blocks = HistoryBlocks.cut(frame)
  if not write(self, id, offset, blocks) then
    self.blocks:discard(id, offset, #blocks)
    self.count("unkept", 1)
    self.removal:remove_through(id, offset, "memory") -- a client that asks for what came before must learn that something is missing
    return false
  end
  self.topics:add_blocks(id, #blocks)
  return is_kept(self, id, offset)
end

-- Whether a topic keeps no frames, or all of them are too old.
local function is_over(self, id, bounds)
  local first, top = self.topics:first(id), self.topics:top(id)
  local newest = top and self.blocks:stored_at(id, top)
  return first and top and first > top or newest and self.now() - newest > bounds.seconds
end

-- Forgets the topics whose frames are all too old, when the memory for topics is full.
local function forget_old_topics(self, bounds_of)
  local now = self.now()
  if self.forgot_at and now - self.forgot_at < FORGET_SECONDS then
    return
  end
  self.forgot_at = now
  for name, id in pairs(self.topics:all()) do
    local bounds = bounds_of(name)
    if not bounds or is_over(self, id, bounds) then
      self.removal:remove_through(id, self.topics:top(id) or 0, "age")
      self.removal:sweep(id, math.huge)
      self.topics:forget(id)
    end
  end
end

--- Finds a topic, or begins its history.
---@param name string
---@param bounds_of fun(name: string): HistoryBounds? which topics are kept
---@return integer? id nil when there are too many topics
function HistoryStore:open(name, bounds_of)
  local id = self.topics:open(name)
  if not id then
    forget_old_topics(self, bounds_of)
    id = self.topics:open(name)
  end
  return id
end

--- Appends a frame to a topic.
---@param id integer
---@param bounds HistoryBounds
---@param frame KeptFrame
---@return integer? offset nil when the topic was forgotten meanwhile
---@return boolean? is_kept
function HistoryStore:append(id, bounds, frame)
  local offset = self.topics:next_offset(id)
  if not offset then
    return nil
  end
  self.removal:trim(id, offset, bounds)
  return offset, store(self, id, offset, frame)
end

--- How much is kept.
---@return { frames: integer, bytes: integer, max_bytes: integer }
function HistoryStore:usage()
  local frames, blocks = self.topics:usage()
  return { frames = frames, bytes = blocks * HistoryBlocks.ENTRY, max_bytes = self.blocks:capacity() }
end

--- Fills the shared memory. Runs in the master, before workers start.
function HistoryStore:init() self.topics:init() end

--- A name that is new when the histories are.
---@return string
function HistoryStore:epoch() return self.topics:epoch() end

--- Finds a topic.
---@param name string
---@return integer? id
function HistoryStore:find(name) return self.topics:find(name) end

---@param id integer
---@return integer? top the last offset that was taken; nil when the topic was forgotten
function HistoryStore:top(id) return self.topics:top(id) end

---@param id integer
---@return integer? first offset whose frame is kept; nil when the topic was forgotten
function HistoryStore:first(id) return self.topics:first(id) end

---@param id integer
---@param offset integer
---@return KeptFrame?
function HistoryStore:read(id, offset) return self.blocks:read(id, offset) end

--- The last offset below which no frame is about to be stored. A hole beside a frame that is older than 1 s stays one.
---@param id integer
---@return integer? offset nil when the topic was forgotten
function HistoryStore:settled(id)
  local top, first = self:top(id), self:first(id)
  if not top or not first then
    return nil
  end
  local settled = top
  for offset = top, first, -1 do
    local stored_at = self.blocks:stored_at(id, offset)
    if not stored_at then
      settled = offset - 1
    elseif self.now() - stored_at > HistoryStore.HOLE_SECONDS then
      break
    end
  end
  return settled
end

return HistoryStore
