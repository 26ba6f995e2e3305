-- Histories of topics in shared memory: appends frames, bounds them by number, age and memory, and reads them.
-- Workers append at the same time without waiting for each other: an offset is taken first, and its frame stored then. A
-- frame below the top that is not there is a hole: its writer is about to store it, or was killed.

local HistoryBlocks = require "framegate.push.history_blocks"
local HistoryTopics = require "framegate.push.history_topics"

---@class HistoryStore
local HistoryStore = {}
HistoryStore.__index = HistoryStore

--- After this time a hole is not filled any more, in seconds.
HistoryStore.HOLE_SECONDS = 1

local MAX_ROUNDS = 16 -- of making room for one frame
local SHARE = 64 -- a round frees the 64th part of the memory
local MAX_TRIMMED = 1000 -- frames by age at once
local FORGET_SECONDS = 1 -- between two searches for topics without frames

---@class HistoryBounds
---@field frames integer
---@field seconds number

---@param parts { frames: table, topics: table, locks: table, now: fun(): number } three shared dictionaries of ngx_lua;
--- `now`: Clock.monotonic
---@return HistoryStore
function HistoryStore.new(parts)
  return setmetatable({
    blocks = HistoryBlocks.new(parts.frames),
    topics = HistoryTopics.new(parts.topics, parts.locks),
    round = math.ceil(parts.frames:capacity() / HistoryBlocks.ENTRY / SHARE),
    now = parts.now,
    forgot_at = nil,
  }, HistoryStore)
end

-- Gives up frames, removes them, and returns how many blocks became free.
local function drop(self, id, count)
  local from = self.topics:give_up(id, count)
  if not from then
    return 0
  end
  local freed = 0
  for offset = from, from + count - 1 do
    freed = freed + self.blocks:remove(id, offset)
  end
  self.topics:add_blocks(id, -freed)
  return freed
end

-- How many of the oldest frames are too old. A hole among them counts.
local function count_expired(self, id, bounds, from, to)
  local expired = 0
  for offset = from, math.min(to, from + MAX_TRIMMED) do
    local stored_at = self.blocks:stored_at(id, offset)
    if stored_at and self.now() - stored_at <= bounds.seconds then
      return expired
    elseif stored_at then
      expired = offset - from + 1
    end
  end
  return expired
end

-- Removes what is over the bounds of a topic. While another worker trims, this is left to the next frame.
local function trim(self, id, offset, bounds)
  local first = self.topics:first(id)
  if not first or not self.topics:lock() then
    return
  end
  first = self.topics:first(id) or offset
  local surplus = math.max(offset - bounds.frames + 1 - first, 0)
  surplus = surplus + count_expired(self, id, bounds, first + surplus, offset - 1)
  if surplus > 0 then
    drop(self, id, surplus)
  end
  self.topics:unlock()
end

-- Removes the oldest frames of a topic until enough blocks are free, but not its newest ones. Returns how many became free.
local function drop_oldest(self, id, goal, spared)
  local freed = 0
  if goal <= 0 then
    return freed
  end
  local first, top = self.topics:first(id), self.topics:top(id)
  while first and top and freed < goal and first <= top - spared do
    freed = freed + drop(self, id, 1)
    first = self.topics:first(id)
  end
  return freed
end

-- Removes the oldest frames of the topics that take the most memory. The newest frame of a topic goes only when no topic
-- has others, and `own` is about to be stored. Returns how many blocks became free.
local function make_room(self, own, needed)
  local goal, freed = math.max(needed, self.round), 0
  local ids = self.topics:largest_first()
  for _, id in ipairs(ids) do
    freed = freed + drop_oldest(self, id, goal - freed, 1)
  end
  for _, id in ipairs(ids) do
    freed = freed + (id == own and 0 or drop_oldest(self, id, needed - freed, 0))
  end
  return freed
end

-- Stores the blocks of a frame, and removes older frames until they fit.
local function write(self, id, offset, blocks)
  local missing = self.blocks:write(id, offset, blocks, #blocks)
  local rounds = 0
  while missing > 0 and rounds < MAX_ROUNDS and make_room(self, id, missing) > 0 do
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

-- The memory has no room: whoever asks for what came before this frame must learn that something is missing.
local function forget_through(self, id, offset)
  local first = self.topics:first(id)
  if first and first <= offset then
    drop(self, id, offset + 1 - first)
  end
end

local function store(self, id, offset, frame)
  local blocks = HistoryBlocks.cut(frame)
  if not write(self, id, offset, blocks) then
    self.blocks:discard(id, offset, #blocks)
    forget_through(self, id, offset)
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
      local first, top = self.topics:first(id), self.topics:top(id)
      if first and top and top >= first then
        drop(self, id, top + 1 - first)
      end
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
  trim(self, id, offset, bounds)
  return offset, store(self, id, offset, frame)
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
