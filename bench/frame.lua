-- Frames of WebSocket as the bench's clients and servers write and read them (RFC 6455 section 5.2).

local bit = require "bit"

local Frame = {}

local TEXT, MASKED = 0x81, 0x80
local MASK = { 0x12, 0x34, 0x56, 0x78 }

local function head(length, masked)
  if length < 126 then
    return string.char(TEXT, masked + length)
  elseif length < 65536 then
    return string.char(TEXT, masked + 126, bit.rshift(length, 8), bit.band(length, 0xFF))
  end
  local four = string.char(
    bit.rshift(length, 24),
    bit.band(bit.rshift(length, 16), 0xFF),
    bit.band(bit.rshift(length, 8), 0xFF),
    bit.band(length, 0xFF)
  )
  return string.char(TEXT, masked + 127) .. "\0\0\0\0" .. four
end

--- A text frame of a server.
---@param payload string
---@return string
function Frame.of_server(payload) return head(#payload, 0) .. payload end

--- A text frame of a client.
---@param payload string
---@return string
function Frame.of_client(payload)
  local i = 0
  local masked = payload:gsub(".", function(byte)
    i = i % 4 + 1
    return string.char(bit.bxor(byte:byte(), MASK[i]))
  end)
  return head(#payload, MASKED) .. string.char(unpack(MASK)) .. masked
end

--- The size of a server's frame of less than 64 KB, from its first four bytes.
---@param bytes ffi.cdata*
---@return integer
function Frame.size(bytes)
  local length = bytes[1]
  return length < 126 and 2 + length or 4 + bytes[2] * 256 + bytes[3]
end

return Frame
