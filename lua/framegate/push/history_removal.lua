-- Removes frames from the histories in shared memory: those over the bounds of a topic by number and age, the oldest when memory
-- is needed, and what killed workers have left.

---@class HistoryRemoval
local HistoryRemoval = {}
HistoryRemoval.__index = HistoryRemoval

local SHARE = 64 -- making room frees the 64th part of the memory
local MAX_TRIMMED = 1000 -- frames by age at once

---@param parts { blocks: HistoryBlocks, topics: HistoryTopics, capacity: integer, now: (fun(): number),
--- count: fun(what: string, frames: integer) } `capacity` in blocks
---@return HistoryRemoval
function HistoryRemoval.new(parts)
  return setmetatable({
    blocks = parts.blocks,
    topics = parts.topics,
    round = math.ceil(parts.capacity / SHARE),
    now = parts.now,
    count = parts.count,
  }, HistoryRemoval)
end

-- Gives up frames, removes them, and returns how many blocks became free.
local function drop(self, id, count, why)
  local from = count > 0 and self.topics:give_up(id, count)
  if not from then
    return 0
  end
  self.count(why, count)
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

--- Removes what is over the bounds of a topic. While another worker trims, this is left to the next frame.
---@param id integer
---@param offset integer that is about to be stored
---@param bounds HistoryBounds
function HistoryRemoval:trim(id, offset, bounds)
  local first = self.topics:first(id)
  if not first or not self.topics:lock() then
    return
  end
  first = self.topics:first(id) or offset
  local surplus = math.max(offset - bounds.frames + 1 - first, 0)
  local expired = count_expired(self, id, bounds, first + surplus, offset - 1)
  drop(self, id, surplus, "number")
  drop(self, id, expired, "age")
  self.topics:unlock()
end

--- Removes the frames of a topic that are too old, although nothing is published to it; some of them when there are many.
---@param id integer
---@param bounds HistoryBounds? nil when the topic is not kept any more
---@return boolean has_more
function HistoryRemoval:expire(id, bounds)
  local first, top = self.topics:first(id), self.topics:top(id)
  if not first or not top or first > top or not self.topics:lock() then
    return false
  end
  first = self.topics:first(id) or first
  local count = bounds and count_expired(self, id, bounds, first, top) or math.min(top + 1 - first, MAX_TRIMMED)
  drop(self, id, count, "age")
  self.topics:unlock()
  return count >= MAX_TRIMMED
end

-- Removes the oldest frames of a topic until enough blocks are free, but not its newest ones. Returns how many became free.
local function drop_oldest(self, id, goal, spared)
  local freed = 0
  if goal <= 0 then
    return freed
  end
  local first, top = self.topics:first(id), self.topics:top(id)
  while first and top and freed < goal and first <= top - spared do
    freed = freed + drop(self, id, 1, "memory")
    first = self.topics:first(id)
  end
  return freed
end

--- Removes the oldest frames of the topics that take the most memory. The newest frame of a topic goes only when no topic has
--- others.
---@param own integer topic of the frame that is about to be stored
---@param needed integer blocks
---@return integer freed blocks
function HistoryRemoval:make_room(own, needed)
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

--- Removes the frames of a topic up to an offset.
---@param id integer
---@param offset integer
---@param why "memory"|"age"
function HistoryRemoval:remove_through(id, offset, why)
  local first = self.topics:first(id)
  if first and first <= offset then
    drop(self, id, offset + 1 - first, why)
  end
end

--- Removes blocks that killed workers have left of frames that were given up.
---@param id integer
---@param before number only of frames with lower offsets: nobody removes these any more
---@return boolean is_leak whether there were any
function HistoryRemoval:sweep(id, before)
  local from, first = self.topics:swept(id), self.topics:first(id)
  local to, is_leak = math.min(before, first or 0), false
  if not from or from >= to then
    return false
  end
  for offset = from, to - 1 do
    is_leak = self.blocks:remove_rest(id, offset) or is_leak
  end
  self.topics:set_swept(id, from, to)
  return is_leak
end

return HistoryRemoval
