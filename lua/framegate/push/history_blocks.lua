-- The kept frames in shared memory, each in blocks of one size.
-- nginx's shared memory gives each size class pages of its own and never takes them back for another. With frames of
-- mixed sizes it is full long before its bytes are used. So every entry has the same size, and a frame is cut into blocks.
--
-- The first block begins with a header: when it was stored (milliseconds of Clock.monotonic), when by the wall clock
-- (milliseconds since 1970), its type, and the lengths of payload, `except` and `replace`. It is written last and removed
-- first, so a frame that has one is complete. The others are written upwards and removed downwards: if a worker is killed
-- meanwhile, those that are left begin with the second, so that they are found (`remove_rest`).

---@class KeptFrame
---@field payload string
---@field is_text boolean
---@field except string? id of the connection that does not get it
---@field replace string? key of which only the newest frame waits (push/latest.lua)
---@field stored_at number by Clock.monotonic
---@field time number wall clock, in seconds since 1970

---@class HistoryBlocks
---@field private dict table a shared dictionary of ngx_lua
local HistoryBlocks = {}
HistoryBlocks.__index = HistoryBlocks

-- An entry has 68 bytes of ngx_lua's and nginx's own and a key of at most 27. So all entries fit the class of 512 bytes,
-- and none fits that of 256.
local BLOCK = 416
local HEADER = "%014d%014d%s%05d%03d%03d"
local HEADER_PATTERN = "^(%d%d%d%d%d%d%d%d%d%d%d%d%d%d)(%d%d%d%d%d%d%d%d%d%d%d%d%d%d)([tb])(%d%d%d%d%d)(%d%d%d)(%d%d%d)"
local HEADER_BYTES = 40
local MAX_EXCEPT = 999 -- bytes that the header can count; no connection has such a long id

--- The longest payload that is kept, in bytes.
HistoryBlocks.MAX_PAYLOAD = 65536
--- The bytes of memory that a block takes.
HistoryBlocks.ENTRY = 512

local PAD = (" "):rep(BLOCK)

---@param dict table
---@return HistoryBlocks
function HistoryBlocks.new(dict) return setmetatable({ dict = dict }, HistoryBlocks) end

--- The memory for blocks.
---@return integer bytes
function HistoryBlocks:capacity() return self.dict:capacity() end

local function key_of(topic, offset, block) return ("%x:%x:%x"):format(topic, offset, block) end

--- Cuts a frame into blocks.
---@param frame KeptFrame
---@return string[] blocks
function HistoryBlocks.cut(frame)
  local except, replace = frame.except or "", frame.replace or ""
  if #except > MAX_EXCEPT then
    except = ""
  end
  local text = HEADER:format(
    math.floor(frame.stored_at * 1000),
    math.floor(frame.time * 1000 + 0.5),
    frame.is_text and "t" or "b",
    #frame.payload,
    #except,
    #replace
  ) .. except .. replace .. frame.payload
  local blocks = {}
  for first = 1, #text, BLOCK do
    blocks[#blocks + 1] = text:sub(first, first + BLOCK - 1)
  end
  local last = blocks[#blocks]
  blocks[#blocks] = last .. PAD:sub(#last + 1)
  return blocks
end

--- Stores the blocks that a frame still lacks: from the second on, and then the first.
---@param topic integer
---@param offset integer
---@param blocks string[]
---@param missing integer how many blocks are not stored yet
---@return integer missing 0 when the frame is complete; otherwise the memory is full
function HistoryBlocks:write(topic, offset, blocks, missing)
  local function next_block() return missing > 1 and #blocks - missing + 1 or 0 end
  while missing > 0 and self.dict:safe_set(key_of(topic, offset, next_block()), blocks[next_block() + 1]) do
    missing = missing - 1
  end
  return missing
end

local function blocks_for(bytes) return math.ceil(bytes / BLOCK) end

local function optional(text) return text ~= "" and text or nil end

-- Reads all blocks of a frame, or returns nil when they are being removed.
local function join(self, key, first, count)
  local parts = { first }
  for block = 1, count - 1 do
    local part = self.dict:get(key_of(key.topic, key.offset, block))
    if not part then
      return nil
    end
    parts[block + 1] = part
  end
  return table.concat(parts)
end

--- When a frame was stored, without reading all of it.
---@param topic integer
---@param offset integer
---@return number? stored_at by Clock.monotonic; nil when there is no such frame
function HistoryBlocks:stored_at(topic, offset)
  local first = self.dict:get(key_of(topic, offset, 0))
  return first and tonumber(first:sub(1, 14)) / 1000
end

--- Reads a frame.
---@param topic integer
---@param offset integer
---@return KeptFrame? frame nil when it is not there, not complete or being removed
function HistoryBlocks:read(topic, offset)
  local first = self.dict:get(key_of(topic, offset, 0))
  if not first then
    return nil
  end
  local stored_at, time, kind, length, except, replace = first:match(HEADER_PATTERN)
  length, except, replace = tonumber(length), tonumber(except), tonumber(replace)
  local head = HEADER_BYTES + except + replace
  local text = join(self, { topic = topic, offset = offset }, first, blocks_for(head + length))
  return text
    and {
      payload = text:sub(head + 1, head + length),
      is_text = kind == "t",
      except = optional(text:sub(HEADER_BYTES + 1, HEADER_BYTES + except)),
      replace = optional(text:sub(HEADER_BYTES + except + 1, head)),
      stored_at = tonumber(stored_at) / 1000,
      time = tonumber(time) / 1000,
    }
end

--- How many blocks a frame has.
---@param topic integer
---@param offset integer
---@return integer count 0 when there is no such frame
function HistoryBlocks:count(topic, offset)
  local first = self.dict:get(key_of(topic, offset, 0))
  if not first then
    return 0
  end
  local _, _, _, length, except, replace = first:match(HEADER_PATTERN)
  return blocks_for(HEADER_BYTES + tonumber(length) + tonumber(except) + tonumber(replace))
end

--- Removes a frame.
---@param topic integer
---@param offset integer
---@return integer blocks how many there were
function HistoryBlocks:remove(topic, offset)
  local count = self:count(topic, offset)
  if count > 0 then
    self:discard(topic, offset, count)
  end
  return count
end

--- Removes the blocks of a frame, which need not be there.
---@param topic integer
---@param offset integer
---@param count integer of blocks that it was to have
function HistoryBlocks:discard(topic, offset, count)
  self.dict:delete(key_of(topic, offset, 0))
  for block = count - 1, 1, -1 do
    self.dict:delete(key_of(topic, offset, block))
  end
end

--- Removes what is left of a frame whose writer or remover was killed.
---@param topic integer
---@param offset integer
---@return boolean is_leak whether there was something
function HistoryBlocks:remove_rest(topic, offset)
  local count = 1
  while self.dict:get(key_of(topic, offset, count)) do
    count = count + 1
  end
  if count == 1 and not self.dict:get(key_of(topic, offset, 0)) then
    return false
  end
  self:discard(topic, offset, count)
  return true
end

return HistoryBlocks
