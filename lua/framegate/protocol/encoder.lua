-- Encodes every frame that goes to a client (RFC 6455 section 5): text, binary, ping, pong and close.
-- The vendored lua-resty-websocket builds the bytes. Only this file and public/upgrade.lua use that library.

local build_frame = require("nginx.websocket.protocol").build_frame
local ffi = require "ffi"
local CloseCode = require "framegate.protocol.close_code"
local Frame = require "framegate.protocol.frame"
local Zlib = require "framegate.protocol.zlib"

local byte = string.byte

local Encoder = {}

---@class Message one text or binary message for many sockets: framed once, and shared by all their outboxes
---@field frame string the bytes on the wire
---@field payload_bytes integer
---@field replace string? key: it takes the place of an earlier message with this key that waits
---@field unescaped string? the payload of a text that begins with U+0000 (session/texts.lua)
---@field from Origin? of a publication (push/origins.lua)

--- Encodes a text or binary message for one socket.
---@param payload string UTF-8 for a text
---@param is_text boolean
---@return string frame
function Encoder.frame(payload, is_text)
  return build_frame(true, is_text and Frame.TEXT or Frame.BINARY, #payload, payload, false)
end

--- Encodes a text or binary message for any number of sockets.
---@param payload string UTF-8 for a text
---@param is_text boolean
---@param replace string? key
---@return Message
function Encoder.message(payload, is_text, replace)
  local message = { frame = Encoder.frame(payload, is_text), payload_bytes = #payload, replace = replace }
  if is_text and payload:byte() == 0 then
    message.unescaped = payload
  end
  return message
end

--- A ping without a payload (RFC 6455 section 5.5.2).
Encoder.PING = build_frame(true, Frame.PING, 0, "", false)

--- Encodes a ping (RFC 6455 section 5.5.2).
---@param payload string at most 125 bytes
---@return string frame
function Encoder.ping(payload) return build_frame(true, Frame.PING, #payload, payload, false) end

--- Encodes the answer to a ping (RFC 6455 section 5.5.3).
---@param payload string of the ping, at most 125 bytes
---@return string frame
function Encoder.pong(payload) return build_frame(true, Frame.PONG, #payload, payload, false) end

--- Encodes a close frame (RFC 6455 section 5.5.1).
---@param code integer? nil for a frame without a payload
---@param reason string? cut to the 123 bytes that fit
---@return string frame
function Encoder.close(code, reason)
  local payload = CloseCode.payload(code, reason)
  return build_frame(true, Frame.CLOSE, #payload, payload, false)
end

-- The bytes in front of the payload of a frame that this file has made.
local function header_bytes(frame)
  local length = byte(frame, 2)
  return length < 126 and 2 or length == 126 and 4 or 10
end

--- The bytes of the payload of a frame that this file has made.
---@param frame string whole
---@return integer
function Encoder.payload_bytes(frame) return #frame - header_bytes(frame) end

local const_bytes = ffi.typeof("const uint8_t *")
local RSV1 = 0x40

--- Compresses a message (RFC 7692 section 7.2.1).
---@param frame string that holds it, whole, as this file has made it
---@param window_bits integer as Zlib.deflate takes it
---@return string? frame nil when it would not be shorter
function Encoder.compressed(frame, window_bits)
  local header = header_bytes(frame)
  local payload = Zlib.deflate(window_bits, ffi.cast(const_bytes, frame) + header, #frame - header)
  return payload and build_frame(true, RSV1 + byte(frame) - 0x80, #payload, payload, false)
end

--- The bytes of a frame with a payload of this length.
---@param length integer bytes
---@return integer bytes
function Encoder.frame_bytes(length) return length + (length < 126 and 2 or length < 65536 and 4 or 10) end

--- Whether a frame that this file has made is a control frame.
---@param frame string
---@return boolean
function Encoder.is_control(frame) return byte(frame) >= 0x80 + Frame.CLOSE end

--- Reads a frame that this file has made.
---@param frames string whole frames, one behind the other
---@param position integer of the first byte of one
---@return integer opcode
---@return string payload
---@return integer next position of the frame behind it
function Encoder.read(frames, position)
  local first, length, a, b, c, d, e, f, g, h = byte(frames, position, position + 9)
  local start = position + 2
  if length == 126 then
    length, start = a * 256 + b, position + 4
  elseif length == 127 then
    length, start = ((((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f) * 256 + g) * 256 + h, position + 10
  end
  return first - 0x80, frames:sub(start, start + length - 1), start + length
end

local TEXT, BINARY = 0x80 + Frame.TEXT, 0x80 + Frame.BINARY
local SHORT = 126 -- a frame with a smaller length has a header of two bytes

-- Whether a frame is a control text of the gateway (session/texts.lua): a short text that begins with one U+0000.
local function is_control_text(length, first, second) return length < SHORT and first == 0 and second ~= 0 end

--- Whether a frame that this file has made is a message of the application.
---@param frame string whole
---@return boolean
function Encoder.is_message(frame)
  local opcode, length, first, second = byte(frame, 1, 4)
  return opcode == BINARY or opcode == TEXT and not is_control_text(length, first, second)
end

return Encoder
