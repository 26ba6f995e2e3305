-- Reads what a handshake is about: its path, the headers that events carry, what its location sets, and the session that its
-- client wants.

local Agreement = require "framegate.socket.agreement"
local Compression = require "framegate.push.compression"
local Dialects = require "framegate.dispatch.dialects"
local EventStream = require "framegate.protocol.event_stream"
local Handshake = require "framegate.protocol.handshake"
local Headers = require "framegate.public.headers"
local Places = require "framegate.session.places"
local Rejection = require "framegate.public.rejection"
local SessionRequest = require "framegate.session.request"

local HandshakeReader = {}

---@class Arrival
---@field is_stream boolean whether the client wants an event stream
---@field path string of the handshake, without ws-session
---@field lines string header lines that every event carries
---@field offered string|string[]|nil Sec-WebSocket-Protocol
---@field compression Compression? that it has negotiated
---@field extensions string? Sec-WebSocket-Extensions of the 101
---@field location LocationOptions
---@field wanted SessionRequest? always there for an event stream

--- Reads the handshake of this request.
---@param headers table<string, string|string[]> of the request
---@return Arrival? handshake
---@return table? refusal as Rejection.refuse takes it, with a `cause` of framegate_sockets_refused_total
function HandshakeReader.read(headers)
  local location, expected = Agreement.at_location()
  if not location then
    return nil, Rejection.of_location(expected)
  end
  local path, value = SessionRequest.split(ngx.var.request_uri)
  local is_stream = Handshake.is_for_stream(headers)
  local handshake = {
    is_stream = is_stream,
    path = path,
    lines = Headers.of_handshake(headers, Dialects.named(location.before_open.protocol).headers(headers), is_stream),
    offered = headers["sec-websocket-protocol"],
    location = location,
  }
  if not is_stream then
    handshake.compression, handshake.extensions = Compression.negotiate(headers["sec-websocket-extensions"])
  end
  local err
  if is_stream then
    handshake.wanted, err = SessionRequest.of_stream(headers["last-event-id"], value)
  elseif value then
    handshake.wanted, err = SessionRequest.read(value)
  end
  return handshake, err and { cause = "handshake", status = 400, message = err }
end

--- Whether the client of an event stream comes back to a socket that was closed.
---@param headers table<string, string|string[]> of the request
---@param handshake Arrival
---@return boolean
function HandshakeReader.is_over(headers, handshake)
  return handshake.is_stream
    and (headers["last-event-id"] == EventStream.CLOSED_ID or Places.is_closed(handshake.wanted.key))
end

return HandshakeReader
