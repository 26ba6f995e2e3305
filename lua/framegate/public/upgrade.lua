-- The 101 that turns a request into a socket (RFC 6455 section 4.2.2), sent by the vendored lua-resty-websocket.

local WebSocket = require "nginx.websocket.server"

local Upgrade = {}

-- A header that is set takes memory of the request, which lasts as long as the socket: most already are as they must be.
local function set_header(headers, name, value)
  if headers[name] ~= value then
    ngx.req.set_header(name, value)
  end
end

--- Sends the 101 for this request, which Handshake.check has accepted. Yields until it has left.
---@param answer Answer of the handler: its Set-Cookie and Sec-WebSocket-Protocol go along
---@return table? socket the raw request socket
---@return string? err when the client is gone
function Upgrade.perform(answer)
  local headers = ngx.req.get_headers(0)
  -- The library answers with the protocol that the request offers.
  set_header(headers, "Sec-WebSocket-Protocol", answer.headers["sec-websocket-protocol"])
  -- The library reads the first value of each alone, with the tabs around it; protocol/handshake.lua has checked them all.
  set_header(headers, "Upgrade", "websocket")
  set_header(headers, "Connection", "Upgrade")
  set_header(headers, "Sec-WebSocket-Version", "13")
  set_header(headers, "Sec-WebSocket-Key", headers["sec-websocket-key"]:match("%S+"))
  ngx.header["Set-Cookie"] = answer.headers["set-cookie"]
  local socket, err = WebSocket:new()
  return socket and socket.sock, err
end

return Upgrade
