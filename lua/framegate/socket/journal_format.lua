-- The bytes of a journal: entries of text, each with its length and a checksum. No part of it knows files.
-- An entry is "\n\nfg1 ", its CRC-32 and its length, 8 hex digits each, "\n", and a body: a letter, an id, "\n", a text.
-- No text contains that start: a record has line feeds where record.lua puts them, and its only empty line is before its
-- path. So a reader finds the next entry after a damaged one, and no client can forge one.

local bit = require "bit"
local ffi = require "ffi"

local JournalFormat = {}

local find, match, sub = string.find, string.match, string.sub
local band, bxor, rshift, tohex = bit.band, bit.bxor, bit.rshift, bit.tohex

local START = "\n\nfg1 "
local SUMS_BYTES = 17 -- two numbers and a line feed
local MAX_BODY = 1024 * 1024 -- far above the headers that nginx accepts: a larger length is damaged

--- The kinds of entries: the record of a socket, of which the last counts; the end of what a socket is owed; when the
--- gateway that wrote the others died.
JournalFormat.RECORD, JournalFormat.END, JournalFormat.DIED = "r", "e", "d"

-- Tables for four bytes at a time, of which FIRST is for the one that comes first. One table alone is 3 times slower.
local table_t = ffi.typeof "int32_t[256]"
local FIRST, SECOND, THIRD, FOURTH = table_t(), table_t(), table_t(), table_t()

local function without_last_byte(value) return bxor(rshift(value, 8), FOURTH[band(value, 255)]) end

for i = 0, 255 do
  local value = i
  for _ = 1, 8 do
    value = bxor(rshift(value, 1), band(value, 1) == 1 and 0xEDB88320 or 0)
  end
  FOURTH[i] = value
end
for i = 0, 255 do
  THIRD[i] = without_last_byte(FOURTH[i])
  SECOND[i] = without_last_byte(THIRD[i])
  FIRST[i] = without_last_byte(SECOND[i])
end

--- CRC-32 (ISO 3309, as zlib and Ethernet use it).
---@param text string
---@return integer 32 bits, signed
function JournalFormat.checksum(text)
  local bytes, sum, i = ffi.cast("const uint8_t *", text), -1, 0
  while i + 4 <= #text do
    sum = bxor(
      FIRST[bxor(band(sum, 255), bytes[i])],
      SECOND[bxor(band(rshift(sum, 8), 255), bytes[i + 1])],
      THIRD[bxor(band(rshift(sum, 16), 255), bytes[i + 2])],
      FOURTH[bxor(rshift(sum, 24), bytes[i + 3])]
    )
    i = i + 4
  end
  while i < #text do
    sum = bxor(rshift(sum, 8), FOURTH[band(bxor(sum, bytes[i]), 255)])
    i = i + 1
  end
  return bxor(sum, -1)
end

--- Writes one entry.
---@param kind string one letter of those above
---@param id string letters, digits, - and _
---@param text string
---@return string bytes
function JournalFormat.entry(kind, id, text)
  local body = kind .. id .. "\n" .. text
  return START .. tohex(JournalFormat.checksum(body)) .. tohex(#body) .. "\n" .. body
end

---@class JournalReader
---@field damaged integer places that hold no entry
---@field offset integer of the last entry, in bytes from the start
---@field private bytes string
---@field private at integer where the next entry may begin in `bytes`
---@field private base integer offset of `bytes`
local Reader = {}
Reader.__index = Reader

--- A reader of a journal that comes in pieces.
---@return JournalReader
function JournalFormat.reader()
  return setmetatable({ bytes = "", at = 1, base = 0, damaged = 0, is_in_damage = false, is_complete = false }, Reader)
end

--- Accepts the next piece.
---@param bytes string empty at the end of the journal
function Reader:push(bytes)
  self.base = self.base + self.at - 1
  self.bytes, self.at = sub(self.bytes, self.at) .. bytes, 1
  self.is_complete = bytes == ""
end

-- Goes on at this position. What lies before it is no entry.
local function skip_to(self, position)
  if position > self.at then
    self.damaged = self.damaged + (self.is_in_damage and 0 or 1)
    self.is_in_damage, self.at = true, position
  end
end

-- The end of the entry that begins here. If there is none: nil, and whether more bytes may bring it.
local function end_of(self, start)
  local first = start + #START + SUMS_BYTES
  if first - 1 <= #self.bytes then
    local digits = match(self.bytes, "^%x%x%x%x%x%x%x%x(%x%x%x%x%x%x%x%x)\n", start + #START)
    local last = digits and first + tonumber(digits, 16) - 1
    if not last or last - first >= MAX_BODY then
      return nil, false
    elseif last <= #self.bytes then
      return last
    end
  end
  return nil, not self.is_complete
end

-- Reads the entry between two positions.
local function read(self, start, last)
  local body = sub(self.bytes, start + #START + SUMS_BYTES, last)
  if sub(self.bytes, start + #START, start + #START + 7) == tohex(JournalFormat.checksum(body)) then
    return match(body, "^(%l)([%w_-]*)\n(.*)$")
  end
end

--- Reads the next whole entry. What is damaged is skipped and counted.
---@return string? kind nil when the reader needs another piece
---@return string? id
---@return string? text
---@return string? bytes the whole entry
function Reader:next()
  while true do
    local start = find(self.bytes, START, self.at, true)
    if not start then
      -- The last bytes may be the start of START.
      skip_to(self, self.is_complete and #self.bytes + 1 or math.max(self.at, #self.bytes - #START + 2))
      return nil
    end
    skip_to(self, start)
    local last, may_come = end_of(self, start)
    if may_come then
      return nil
    end
    local kind, id, text
    if last then
      kind, id, text = read(self, start, last)
    end
    if kind then
      self.is_in_damage, self.at, self.offset = false, last + 1, self.base + start - 1
      return kind, id, text, sub(self.bytes, start, last)
    end
    skip_to(self, start + 1)
  end
end

return JournalFormat
