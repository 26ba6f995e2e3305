-- A server that sends whatever is posted to it to every WebSocket: one send(2) for each, in a loop, and nothing else.
-- No server can do less for one push, so it is the limit; several pushes may share a write. What sockets send is dropped.

package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local ffi = require "ffi"
local Frame = require "frame"
local Sockets = require "sockets"

-- The bench's clients all send the same key (RFC 6455 section 1.3).
local SWITCHING = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
  .. "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
local ANSWER = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"

local parent = tonumber(os.getenv "NODE_CHANNEL_FD")
local listener, port = Sockets.listen()
local requests = {} -- by fd: bytes so far
local sockets = {} -- fds of WebSockets, in a list
local places = {} -- by fd: place in the list

local function add(fd)
  sockets[#sockets + 1] = fd
  places[fd] = #sockets
end

local function remove(fd)
  local place, last = places[fd], sockets[#sockets]
  if place then
    sockets[place], places[last] = last, place
    sockets[#sockets], places[fd] = nil, nil
  end
  requests[fd] = nil
  Sockets.close(fd)
end

local function push(payload)
  local frame = Frame.of_server(payload)
  for i = 1, #sockets do
    Sockets.send(sockets[i], frame)
  end
end

local function on_request(fd, request)
  local head, body = request:match "^(.-\r\n)\r\n(.*)$"
  if not head then
    requests[fd] = request
  elseif head:find "^GET " then
    add(fd)
    Sockets.send(fd, SWITCHING)
  else
    local length = tonumber(head:match "content%-length: (%d+)")
    requests[fd] = #body < length and request or ""
    if #body == length then
      push(body)
      Sockets.send(fd, ANSWER)
    end
  end
end

local function take(fd, bytes, count)
  if fd == parent then
    os.exit(0)
  elseif fd == listener then
    local accepted = Sockets.accept(listener)
    requests[accepted] = ""
    Sockets.watch(accepted)
  elseif count == 0 then
    remove(fd)
  elseif not places[fd] then
    on_request(fd, requests[fd] .. ffi.string(bytes, count))
  end
end

Sockets.raise_limit()
Sockets.watch(parent)
Sockets.watch(listener)
Sockets.write(parent, ('{"port":%d}\n'):format(port))
while true do
  Sockets.read(-1, take)
end
