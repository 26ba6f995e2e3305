-- Which of the frames that wait in an outbox have a key: of those with one key, only the newest waits.
-- An outbox has one of these from its first such frame on, so other outboxes pay nothing for it.

---@class Latest
---@field places table<string, integer> positions among the frames that wait, by key
---@field keys table<integer, string> keys, by position
---@field is_limited boolean? whether the kernel's buffer is limited (socket/writer.lua)
local Latest = {}
Latest.__index = Latest

--- With keys, an outbox is emptied in parts of about this many bytes: what is taken cannot be replaced any more. The kernel
--- accepts about as much beyond what it has sent.
Latest.PART_BYTES = 16384

---@return Latest
function Latest.new() return setmetatable({ places = {}, keys = {} }, Latest) end

--- Notes that the kernel's buffer is limited.
function Latest:set_limited() self.is_limited = true end

--- Notes the key of a frame.
---@param key string which no other frame has that waits
---@param place integer
function Latest:note(key, place)
  self.places[key], self.keys[place] = place, key
end

--- Notes the key that a frame had elsewhere.
---@param key string? nil when it had none
---@param place integer
function Latest:adopt(key, place)
  if key then
    self:note(key, place)
  end
end

--- Moves all positions. Frames whose position falls below 1 are gone.
---@param step integer
function Latest:move(step)
  local places, keys = {}, {}
  for place, key in pairs(self.keys) do
    if place + step >= 1 then
      places[key], keys[place + step] = place + step, key
    end
  end
  self.places, self.keys = places, keys
end

--- How many of the frames that wait make up the next part: whole ones, and at least one.
---@param frames string[]
---@param count integer
---@return integer
function Latest.part_of(frames, count)
  local bytes, last = #frames[1], 1
  while last < count and bytes + #frames[last + 1] <= Latest.PART_BYTES do
    last = last + 1
    bytes = bytes + #frames[last]
  end
  return last
end

return Latest
