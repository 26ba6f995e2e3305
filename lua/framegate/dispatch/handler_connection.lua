-- The connection of one lane to a handler; it is kept between requests.
-- It knows when a handler cannot have read a request, and resends only then.

local Peers = require "framegate.dispatch.peers"

---@class HandlerConnection
---@field socket table? the cosocket while it is connected
---@field peer Peer? to which it is connected
---@field made integer how many connections were made
---@field idle_cycles integer how often it was given to the pool
local HandlerConnection = {}
HandlerConnection.__index = HandlerConnection

local KEEP_MS = 4000 -- below the 5 s of a bare Node server, so that this side closes first
local POOL_SIZE = 1024
local SEND_MS = 10000
local MAX_CONNECTING = 64 -- per worker; the backlog of a handler usually holds 511 (listen(2))
local PAUSE_SECONDS, FULL_SECONDS = 0.005, 2
local QUEUE_IS_FULL = "resource temporarily unavailable" -- of a unix socket (connect(2), EAGAIN)
-- The kernel accepts up to this many bytes in one piece: if writing them fails, none were sent.
local UNDIVIDED_BYTES = 16384
local MAX_UNSENT = 3

---@param peers Peers
---@return HandlerConnection
function HandlerConnection.new(peers)
  return setmetatable({ peers = peers, made = 0, idle_cycles = 0 }, HandlerConnection)
end

local function connect_socket(socket, peer)
  if peer.port then
    return socket:connect(peer.host, peer.port, peer.options)
  end
  return socket:connect(peer.host, peer.options)
end

-- Waits while the handler's backlog is full.
local function connect_patiently(socket, peer)
  local pauses = 0
  while true do
    local ok, err = connect_socket(socket, peer)
    if ok or err ~= QUEUE_IS_FULL or pauses * PAUSE_SECONDS >= FULL_SECONDS then
      return ok, err
    end
    pauses = pauses + 1
    ngx.sleep(PAUSE_SECONDS)
  end
end

local function connect(self, peer)
  while peer.connecting >= MAX_CONNECTING do
    ngx.sleep(PAUSE_SECONDS)
  end
  local peers, socket = self.peers, self.parked or ngx.socket.tcp()
  self.parked = socket
  peers:begin(peer)
  socket:settimeouts(peers:connect_ms(peer), SEND_MS, SEND_MS)
  local ok, err = connect_patiently(socket, peer)
  if ok and peer.has_tls and socket:getreusedtimes() == 0 then
    ok, err = socket:sslhandshake(false, peer.tls_name, peer.is_verified == true)
    if not ok then
      socket:close()
    end
  end
  if not ok then
    peers:failed(peer, err)
    return nil, err
  end
  peers:succeeded(peer)
  self.socket, self.peer, self.parked = socket, peer, nil
  if socket:getreusedtimes() == 0 then
    self.made = self.made + 1
  end
  return true
end

--- Connects to the peer whose turn it is, or to the next one that can be reached.
---@return boolean? ok
---@return string? err why no peer can be reached
function HandlerConnection:open()
  local peers, tried, last_err = self.peers, nil, nil
  if peers.refreshed == 0 then
    peers:refresh()
  end
  if self.socket and #peers.list == 1 then
    return true
  end
  while true do
    local peer = peers:pick(tried)
    if self.socket and peer ~= self.peer then
      self:park()
    end
    if self.socket or not peer then
      return self.socket and true, last_err or "no address is known"
    end
    local ok, err = connect(self, peer)
    if ok then
      return true
    end
    tried, last_err = tried or {}, err
    tried[peer] = true
  end
end

local function length(request)
  local bytes = 0
  for _, piece in ipairs(request) do
    bytes = bytes + #tostring(piece)
  end
  return bytes
end

--- Sends a request. If a connection accepted no byte of it, the request is sent over another one.
---@param request (string|number)[]|fun(peer: Peer): string[] pieces of it, or what gives them for a peer
---@return boolean? ok
---@return string? failure "unavailable" when no handler can have read a byte of it, else "lost"
---@return string? err of the socket
function HandlerConnection:send(request)
  for _ = 1, MAX_UNSENT do
    local ok, err = self:open()
    if not ok then
      return nil, "unavailable", err
    end
    local pieces = type(request) == "function" and request(self.peer) or request
    ok, err = self.socket:send(pieces)
    if ok then
      return true
    end
    if err == "timeout" or length(pieces) > UNDIVIDED_BYTES then
      return nil, "lost", err
    end
    Peers.distrust(self.peer) -- connections in its pool may be broken too
    self:close()
  end
  return nil, "unavailable"
end

--- Sets how long the next read may take.
---@param seconds number
function HandlerConnection:limit_reading(seconds) self.socket:settimeouts(SEND_MS, SEND_MS, seconds * 1000) end

--- Abandons the pool of the peer, because no answer came in time.
function HandlerConnection:distrust() Peers.distrust(self.peer) end

--- Returns the connection to nginx's pool, which notices when the handler closes it.
function HandlerConnection:park()
  if self.socket then
    if not self.socket:setkeepalive(KEEP_MS, self.peer.pool_size or POOL_SIZE) then
      self.socket:close()
    end
    self.parked, self.socket, self.idle_cycles = self.socket, nil, self.idle_cycles + 1
  end
end

--- Closes the connection.
function HandlerConnection:close()
  if self.socket then
    self.socket:close()
    self.parked, self.socket = self.socket, nil
  end
end

return HandlerConnection
