-- Sends the 101 response that turns a request into a socket (RFC 6455 section 4.2.2).
-- The vendored lua-resty-websocket writes it.

local WebSocket = require "nginx.websocket.server"

local Upgrade = {}

-- Each header that is set costs memory for as long as the socket is open, and most already have the right value.
local function set_header(headers, name, value)
  if headers[name] ~= value then
    ngx.req.set_header(name, value)
  end
end

--- Sends the 101 for this request, which Handshake.check has accepted. Yields until it is sent.
---@param answer Answer of the handler: its Set-Cookie and Sec-WebSocket-Protocol are included
---@param extensions string? Sec-WebSocket-Extensions of the 101
---@return table? socket the raw request socket
---@return string? err when the client is gone
function Upgrade.perform(answer, extensions)
  local headers = ngx.req.get_headers(0)
  -- The library copies the subprotocol from the request.
  set_header(headers, "Sec-WebSocket-Protocol", answer.headers["sec-websocket-protocol"])
  -- The library reads only the first value of each header, and with tabs around it.
  -- handshake.lua has checked all values.
  set_header(headers, "Upgrade", "websocket")
  set_header(headers, "Connection", "Upgrade")
  set_header(headers, "Sec-WebSocket-Version", "13")
  set_header(headers, "Sec-WebSocket-Key", headers["sec-websocket-key"]:match("%S+"))
  ngx.header["Set-Cookie"] = answer.headers["set-cookie"]
  if extensions then
    ngx.header["Sec-WebSocket-Extensions"] = extensions
  end
  local socket, err = WebSocket:new()
  return socket and socket.sock, err
end

return Upgrade
