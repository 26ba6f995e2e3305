-- How a connection gets a transport, loses it, and gets another one.
-- A plain socket ends with its transport. A session goes on without one until its time is over.

local Client = require "framegate.runtime.client"
local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local Detached = require "framegate.socket.detached"
local Encoder = require "framegate.protocol.encoder"
local Inbox = require "framegate.socket.inbox"
local Keeper = require "framegate.socket.keeper"
local Lifecycle = require "framegate.telemetry.lifecycle"
local Places = require "framegate.session.places"

local Attachment = {}

local function notify(connection, kind)
  if connection.session.mode == "notify" then
    connection:enqueue(Inbox.add_own(connection.inbox, { kind = kind }))
  end
end

-- A client that the gateway has sent away comes back soon.
local function detach(connection, is_sent_away)
  local session = connection.session
  connection.outbox:detach()
  session:set_detached(Clock.monotonic())
  Keeper.remove(connection)
  Lifecycle.detached(connection)
  Detached.add(connection, is_sent_away) -- may end it
  if connection.phase == "open" then
    notify(connection, "detach")
    connection:advance()
  end
end

local function attach(connection, transport)
  local session = connection.session
  Detached.remove(connection)
  connection.outbox:set_transport(transport)
  Lifecycle.resumed(connection, Clock.monotonic() - session.detached_at)
  session:set_attached(transport.is_stream)
  Keeper.add(connection)
  notify(connection, "resume")
  connection:advance()
end

-- Opens a session whose client has left before its 101. It can come back with its nonce.
local function open_detached(connection)
  connection:open(nil)
  if connection.phase == "open" then
    detach(connection)
  else
    connection:finish()
  end
end

local function forget_newest(session, transport)
  if session and transport and session.newest and session.newest.transport == transport then
    session:set_newest(nil)
  end
end

--- Accepts that a transport has ended, or that nginx frees its request. Both may come for one transport.
---@param connection Connection
---@param transport Transport? nil when the request had none yet
function Attachment.ended(connection, transport)
  forget_newest(connection.session, transport)
  local is_over = connection.phase == "ended" or connection:is_detached()
  if is_over or connection.session and connection.outbox.transport ~= transport then
    return
  elseif connection.session and connection.phase == "opening" then
    return open_detached(connection)
  elseif connection.session and connection.phase == "open" then
    return detach(connection, transport and transport.is_sent_away)
  end
  return connection:finish()
end

--- Takes the transport away from a session, which goes on: another one comes, or is expected.
---@param connection Connection
function Attachment.release(connection)
  local transport, newest = connection.outbox.transport, connection.session.newest
  if transport then
    detach(connection, transport.is_sent_away)
    transport:abandon()
  end
  if newest and newest.fd then
    Client.shut(newest.fd) -- it may wait in a write to a client that is gone
    connection.session:set_newest(nil)
  end
end

-- Writes the first bytes. Until then, and afterwards, a later transport can end this one. Yields.
local function begin(connection, transport, client, is_resumed)
  local session = connection.session
  if session then
    session:set_newest { transport = transport, fd = Client.file() }
  end
  return transport:begin(session, client, is_resumed)
end

--- Sends the client of a session away with 1012: it comes back, and another worker or node gets it.
---@param connection Connection
---@param reason string
function Attachment.send_away(connection, reason)
  local transport = connection.outbox.transport
  if transport then
    connection.outbox:push(Encoder.close(CloseCode.SERVICE_RESTART, reason))
    transport:send_away()
  end
end

-- Whether a session still waits for this transport: no other client has come with a good key meanwhile.
local function is_awaited(connection, token)
  local is_at_rest = connection.phase == "open" and connection:is_detached() and not connection.moving
  return is_at_rest and connection.session.token == token
end

--- Gives a session a transport, which sends the first frames. Another one that it has is taken away. Yields.
---@param connection Connection
---@param transport Transport
---@param client Return
---@return boolean ok false when the client has left, or when the session has ended or went to another client
function Attachment.resume(connection, transport, client)
  local session = connection.session
  local is_good = session:opens_with(client.key) and session.ring:covers(client.received)
  if connection.phase ~= "open" or connection.moving or not is_good then
    return false
  end
  Attachment.release(connection)
  if connection.phase ~= "open" or not session:renew(connection.id, client.key) then
    return false
  end
  local token = session.token
  local ok = begin(connection, transport, client, true)
  if not ok or not is_awaited(connection, token) then
    return false
  end
  attach(connection, transport)
  return true
end

--- Opens a socket after its 101. A client that asked for a session learns first whether it has one. Yields.
---@param connection Connection
---@param transport Transport
---@param wanted SessionRequest?
---@return boolean ok false when the client has left; a session then waits for it
function Attachment.open(connection, transport, wanted)
  if not begin(connection, transport, wanted, false) then
    Attachment.ended(connection, nil)
    return false
  end
  connection:open(transport)
  if connection.session then
    Keeper.add(connection)
  end
  return true
end

--- Accepts a session that comes from another worker, where its client was away.
---@param connection Connection
---@param seconds number for which it was away
function Attachment.arrive(connection, seconds)
  connection.phase = "open"
  connection.session:set_detached(Clock.monotonic() - seconds)
  Detached.add(connection, true)
end

--- Forgets a session that goes to another worker.
---@param connection Connection
function Attachment.leave(connection)
  Keeper.remove(connection)
  Detached.remove(connection)
end

-- The client of an event stream that missed the last event must not come back for ever.
local function remember_end(connection)
  local session, closing = connection.session, connection.closing
  if session.is_stream and closing and not CloseCode.is_worth_retrying(closing.code) then
    Places.set_closed(session.token, 2 * session.keep)
    Places.set_closed(session.former or session.token, 2 * session.keep)
  end
end

--- Forgets the session of a connection that ends.
---@param connection Connection
function Attachment.forget(connection)
  if connection.session then
    Attachment.leave(connection)
    remember_end(connection)
    connection.session:finish()
  end
end

return Attachment
