-- Sends the 101 response that turns a request into a socket (RFC 6455 section 4.2.2).
-- The vendored lua-resty-websocket writes it.

local WebSocket = require "nginx.websocket.server"

local Upgrade = {}

--- Sends the 101 for this request, which Handshake.check has accepted. Yields until it is sent.
---@param answer Answer of the handler; its Set-Cookie and Sec-WebSocket-Protocol are included
---@return table? socket the raw request socket
---@return string? err when the client is gone
function Upgrade.perform(answer)
  local protocol = answer.headers["sec-websocket-protocol"]
  if protocol then
    -- The library copies the subprotocol from the request.
    ngx.req.set_header("Sec-WebSocket-Protocol", protocol)
  else
    ngx.req.clear_header("Sec-WebSocket-Protocol")
  end
  -- The library reads only the first value of each header, and with tabs around it.
  -- handshake.lua has checked all values.
  ngx.req.set_header("Upgrade", "websocket")
  ngx.req.set_header("Connection", "Upgrade")
  ngx.req.set_header("Sec-WebSocket-Version", "13")
  ngx.req.set_header("Sec-WebSocket-Key", ngx.var.http_sec_websocket_key:match("%S+"))
  ngx.header["Set-Cookie"] = answer.headers["set-cookie"]
  local socket, err = WebSocket:new()
  return socket and socket.sock, err
end

return Upgrade
