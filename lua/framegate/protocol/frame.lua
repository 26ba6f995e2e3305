-- Parses and unmasks the frames of a client (RFC 6455 section 5): bytes in, a header or a violation out.
-- Nothing here knows sockets. encoder.lua makes the frames to the client.

local bit = require "bit"
local ffi = require "ffi"

local band, bxor, lshift, rol = bit.band, bit.bxor, bit.lshift, bit.rol
local byte = string.byte

local Frame = {}

Frame.CONTINUATION, Frame.TEXT, Frame.BINARY = 0x0, 0x1, 0x2
Frame.CLOSE, Frame.PING, Frame.PONG = 0x8, 0x9, 0xA

local RSV1 = 0x40

local KNOWN = { [0x0] = true, [0x1] = true, [0x2] = true, [0x8] = true, [0x9] = true, [0xA] = true }

-- Only the first frame of a message may be marked as compressed, and only if that was agreed (RFC 7692 section 6).
local function check_reserved(reserved, opcode, takes_compressed)
  if not takes_compressed then
    return "a reserved bit is set, and no extension was agreed"
  elseif reserved ~= RSV1 then
    return "a reserved bit is set that has no meaning here"
  elseif opcode ~= Frame.TEXT and opcode ~= Frame.BINARY then
    return "only the first frame of a message may be marked as compressed"
  end
end

local function check_first_two(first, second, takes_compressed)
  local opcode, reserved = band(first, 0x0F), band(first, 0x70)
  local violation = reserved ~= 0 and check_reserved(reserved, opcode, takes_compressed)
  if violation then
    return violation
  end
  if not KNOWN[opcode] then
    return "opcode " .. opcode .. " is reserved"
  end
  if band(second, 0x80) == 0 then
    return "a client's frames must be masked"
  end
  if opcode >= Frame.CLOSE then
    if band(first, 0x80) == 0 then
      return "a control frame must not be fragmented"
    end
    if band(second, 0x7F) > 125 then
      return "a control frame holds at most 125 bytes"
    end
  end
end

local function read_length(buffer, position, short)
  if short == 126 then
    local a, b = byte(buffer, position + 2, position + 3)
    local length = a * 256 + b
    return length, length < 126
  end
  local a, b, c, d, e, f, g, h = byte(buffer, position + 2, position + 9)
  if a >= 0x80 then
    return nil, true
  end
  local length = ((((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f) * 256 + g) * 256 + h
  return length, length < 65536
end

--- Parses the header that begins at `position` of `buffer`. Violations show after its first two bytes.
---@param buffer string
---@param position integer of the header's first byte
---@param into table gets `fin`, `opcode`, `is_compressed`, `length` (payload bytes), `mask` (32 bits, least significant byte
---  first); has `takes_compressed`: whether messages may be compressed
---@return integer? size bytes of the header; nil while bytes are missing
---@return string? violation why the connection must fail with 1002 (RFC 6455 section 5.2)
function Frame.read_header(buffer, position, into)
  local first, second = byte(buffer, position, position + 1)
  if not second then
    return nil
  end
  local violation = check_first_two(first, second, into.takes_compressed)
  if violation then
    return nil, violation
  end
  local short = band(second, 0x7F)
  local size = short < 126 and 6 or short == 126 and 8 or 14
  if #buffer < position + size - 1 then
    return nil
  end
  local length, wasteful = short, false
  if short >= 126 then
    length, wasteful = read_length(buffer, position, short)
  end
  if wasteful then
    return nil,
      length and "the length must be written in as few bytes as it takes"
        or "the most significant bit of the length must be 0"
  end
  local a, b, c, d = byte(buffer, position + size - 4, position + size - 1)
  into.fin = first >= 0x80
  into.is_compressed = band(first, RSV1) ~= 0
  into.opcode = band(first, 0x0F)
  into.length = length
  into.mask = bxor(a, lshift(b, 8), lshift(c, 16), lshift(d, 24))
  return size
end

local const_words = ffi.typeof("const uint32_t *")
local const_bytes = ffi.typeof("const uint8_t *")
local words = ffi.typeof("uint32_t *")

local capacity = 4096
local scratch = ffi.new("uint8_t[?]", capacity)

--- Unmasks part of a payload (RFC 6455 section 5.3), four bytes at a time.
---@param buffer string contains the part
---@param offset integer where it begins, from 0
---@param length integer bytes
---@param mask integer of the header, rotated to this part of the payload by Frame.turn
---@return ffi.cdata* bytes uint8_t *, valid until the next call
function Frame.unmask(buffer, offset, length, mask)
  if length > capacity then
    capacity = length
    scratch = ffi.new("uint8_t[?]", capacity)
  end
  local source = ffi.cast(const_bytes, buffer) + offset
  local whole = (length - length % 4) / 4
  local from, to = ffi.cast(const_words, source), ffi.cast(words, scratch)
  for i = 0, whole - 1 do
    to[i] = bxor(from[i], mask)
  end
  for i = whole * 4, length - 1 do
    scratch[i] = bxor(source[i], band(mask, 0xFF))
    mask = rol(mask, 24)
  end
  return scratch
end

--- Rotates a mask for the bytes after `length` unmasked bytes.
---@param mask integer
---@param length integer bytes
---@return integer mask
function Frame.turn(mask, length) return rol(mask, -8 * (length % 4) % 32) end

return Frame
