-- The transport of a client without a WebSocket: the response to its GET, which is an event stream and has no way up.
-- What is sent to it are frames as for any other client, so that a session may go from one kind to the other. They become
-- events when they are written.

local Client = require "framegate.runtime.client"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local Encoder = require "framegate.protocol.encoder"
local Format = require "framegate.protocol.event_stream"
local Frame = require "framegate.protocol.frame"
local Texts = require "framegate.session.texts"
local Transport = require "framegate.socket.transport"
local Turn = require "framegate.runtime.turn"

---@class EventStream: Transport
---@field is_stream true
---@field number integer of the last message that was written, in a session
---@field is_over boolean? whether nothing follows: the last event was written
---@field ignored integer? bytes that the client has sent behind its request
local EventStream = setmetatable({}, { __index = Transport })
EventStream.__index = EventStream
EventStream.is_stream = true

local FOREVER = 2147483 -- seconds; the longest that ngx_lua waits
local MAX_IGNORED = 65536

---@param connection Connection
---@param socket table raw request socket, behind the headers of the response
---@return EventStream
function EventStream.new(connection, socket)
  local self = setmetatable(Transport.new(connection, socket), EventStream)
  self.number = 0
  return self
end

local function id_of(self)
  local session = self.connection.session
  return session and session.token .. "." .. self.number or nil
end

local function next_id(self)
  self.number = self.number + 1
  return id_of(self)
end

local function text(self, payload)
  local own = payload
  if self.connection.session then
    own = Texts.unescape(payload)
  end
  return own and Format.text(own, next_id(self)) or Format.COMMENT
end

-- A session that is sent away goes on: its client comes back as soon as the response has ended.
local function close(self, payload)
  self.is_over = true
  local code, reason = CloseCode.read(payload)
  return self.is_sent_away and "" or Format.close(code, reason)
end

local EVENTS = {
  [Frame.TEXT] = text,
  [Frame.BINARY] = function(self, payload) return Format.binary(payload, next_id(self)) end,
  [Frame.PING] = function() return Format.COMMENT end,
  [Frame.PONG] = function() return "" end,
  [Frame.CLOSE] = close,
}

local function events_of(self, frames)
  local events, position = {}, 1
  while position <= #frames and not self.is_over do
    local opcode, payload, next_position = Encoder.read(frames, position)
    events[#events + 1] = EVENTS[opcode](self, payload)
    position = next_position
  end
  return table.concat(events)
end

local function send(self, events)
  local chunk = events ~= "" and Format.chunk(events) or ""
  return Transport.write(self, self.is_over and chunk .. Format.LAST_CHUNK or chunk)
end

--- Writes everything or fails, as Transport:write.
---@param frames string whole ones
---@return boolean ok
function EventStream:write(frames) return send(self, events_of(self, frames)) end

--- Writes the first events: an id, and the messages that the client does not have. Yields.
---@param session Session?
---@param client Return|SessionRequest
---@param is_resumed boolean
---@return boolean ok
function EventStream:begin(session, client, is_resumed)
  self:limit_reading(FOREVER)
  Client.limit_unacknowledged(Config.IDLE_TIMEOUT)
  self.number = is_resumed and client.received or 0
  local first = Format.beginning(id_of(self))
  if not is_resumed and not client.is_new then
    first = first .. Format.RESET
  end
  return send(self, first .. events_of(self, session and session:missing(self.number) or ""))
end

-- Returns whether reading is over. A client has nothing to send.
local function ignore(self, chunk)
  Turn.spend(self, #chunk)
  self.ignored = (self.ignored or 0) + #chunk
  if self.ignored > MAX_IGNORED and self:is_current() then
    self.connection:close(CloseCode.PROTOCOL_ERROR, "an event stream has no way up", "protocol")
  end
  return self.ignored > MAX_IGNORED
end

--- Waits for the client's end, then wakes the writer. A client that no longer accepts anything ends by
--- Client.limit_unacknowledged.
---@param self EventStream
function EventStream.reader(self)
  local chunk, err
  repeat
    chunk, err = self:read()
  until chunk and ignore(self, chunk) or not chunk and err ~= "timeout"
  return self:end_reading()
end

return EventStream
