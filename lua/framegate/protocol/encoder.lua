-- Encodes every frame that goes to a client (RFC 6455 section 5): text, binary, ping, pong and close.
-- The vendored lua-resty-websocket builds the bytes. Only this file and public/upgrade.lua use that library.

local build_frame = require("nginx.websocket.protocol").build_frame
local CloseCode = require "framegate.protocol.close_code"
local Frame = require "framegate.protocol.frame"

local Encoder = {}

---@class Message one text or binary message for many sockets: framed once, and shared by all their outboxes
---@field frame string the bytes on the wire
---@field payload_bytes integer
---@field replace string? key: it takes the place of an earlier message with this key that waits

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
  return { frame = Encoder.frame(payload, is_text), payload_bytes = #payload, replace = replace }
end

--- A ping without a payload (RFC 6455 section 5.5.2).
Encoder.PING = build_frame(true, Frame.PING, 0, "", false)

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

return Encoder
