-- The classic recipe: one ngx.location.capture for each frame of a socket.
-- The bench compares framegate with it.

local WebSocket = require "nginx.websocket.server"

local socket = WebSocket:new { timeout = 60000, max_payload_len = 65536 }
if not socket then
  return ngx.exit(ngx.HTTP_CLOSE)
end

local number = 0
while true do
  local payload, kind = socket:recv_frame()
  if socket.fatal or kind == "close" then
    return
  elseif kind == "ping" then
    socket:send_pong(payload)
  elseif kind == "text" then
    number = number + 1
    local answer = ngx.location.capture("/message?number=" .. number, { method = ngx.HTTP_POST, body = payload })
    if not socket:send_text(answer.body) then
      return
    end
  end
end
