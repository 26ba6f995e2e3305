-- Reads what a handshake is about: its path, the headers that events carry, what its location sets, and the session that its
-- client wants.

local Agreement = require "framegate.socket.agreement"
local Headers = require "framegate.public.headers"
local Rejection = require "framegate.public.rejection"
local SessionRequest = require "framegate.session.request"

local HandshakeReader = {}

--- Reads the handshake of this request.
---@param headers table<string, string|string[]> of the request
---@return { path: string, lines: string, offered: any, location: LocationOptions, wanted: SessionRequest? }? handshake
---@return table? refusal as Rejection.refuse takes it, with a `cause` of framegate_sockets_refused_total
function HandshakeReader.read(headers)
  local location, expected = Agreement.at_location()
  if not location then
    return nil, Rejection.of_location(expected)
  end
  local path, value = SessionRequest.split(ngx.var.request_uri)
  local handshake = {
    path = path,
    lines = Headers.of_handshake(headers),
    offered = headers["sec-websocket-protocol"],
    location = location,
  }
  if not value then
    return handshake
  end
  local err
  handshake.wanted, err = SessionRequest.read(value)
  return handshake, err and { cause = "handshake", status = 400, message = err }
end

return HandshakeReader
