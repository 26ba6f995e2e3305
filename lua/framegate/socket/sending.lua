-- Sends messages to the client of a connection: answers, pushes, and the gateway's own messages.
-- A message of a session that has no transport waits for the next one.

local CloseCode = require "framegate.protocol.close_code"
local Detached = require "framegate.socket.detached"
local Encoder = require "framegate.protocol.encoder"
local Keeper = require "framegate.socket.keeper"
local Later = require "framegate.socket.later"
local Origins = require "framegate.push.origins"
local Texts = require "framegate.session.texts"
local Traffic = require "framegate.telemetry.traffic"

local Sending = {}

local function push(self, frame, payload_bytes, key)
  local outbox = self.outbox
  if not (key and outbox:push_latest(frame, key) or not key and outbox:push(frame)) then
    return false
  end
  Traffic.sent(self.traffic, payload_bytes)
  if self.grip and self.grip.is_kept_alive then
    Later.note_sent(self)
  end
  if self:is_detached() then
    Detached.look(self)
  elseif self.session then
    Keeper.note(self)
  end
  return true
end

--- Sends the client a message: an answer, or one from the gateway itself.
---@param self Connection
---@param payload string
---@param is_text boolean
function Sending.send(self, payload, is_text)
  local sent = self.session and is_text and Texts.escape(payload) or payload
  push(self, Encoder.frame(sent, is_text), #payload)
end

local function frame_of(session, message)
  return session and message.unescaped and Encoder.frame(Texts.escape(message.unescaped), true) or message.frame
end

--- Offers a pushed message. Only pushes can be refused; answers are always accepted.
---@param self Connection
---@param message Message
---@return boolean delivered false when the reader is too slow for more, or the socket is closing
function Sending.offer(self, message)
  local moving, behind = self.moving, self.session and self.session.behind
  if moving and moving.buffer then
    moving.buffer[#moving.buffer + 1] = message
    return true
  elseif behind and Origins.includes(behind, message.from) then
    return true -- the worker that had the socket before has delivered it
  end
  local frame = frame_of(self.session, message)
  if self.outbox:accepts(frame, message.replace) then
    return push(self, frame, message.payload_bytes, message.replace)
  end
  if self:is_detached() then
    Detached.overflow(self)
  elseif self.options.closes_on_overflow then
    self:close(CloseCode.TRY_AGAIN_LATER, "too slow to read what is sent", "overflow")
  end
  return false
end

return Sending
