-- One TCP connection that carries a socket: its raw request socket and the state of its two threads.
-- It knows nothing of events. connection.lua is the socket as a handler sees it.
--
-- The contract between the two:
--   * A connection has at most one transport at a time. It may get several, one after the other.
--     A transport never changes its connection.
--   * The connection owns the outbox, which outlives the transport.
--     Connection:open sets `outbox.transport`, and Connection:finish clears it before the writer's thread returns.
--     flusher.lua finds `address` only through it. nginx's request ends with that thread, and the address is then invalid.
--     A session that loses its transport (attachment.lua) clears `outbox.transport`, too. What such a transport still reads
--     is ignored.
--   * The transport's threads call the connection: receive (a message), advance (there may be room again), close,
--     close_after_replies and end_with (the peer's close, or its fault), begin_closing (the peer is gone without a close
--     frame) and finish (both threads are over). They push pings and pongs into the outbox themselves.
--   * The flusher and the connection call the transport: wake (the writer is needed) and wake_reader (there is room).
--   * Each side may read the other's fields, but changes them only through methods.

local Attachment = require "framegate.socket.attachment"
local Config = require "framegate.config"
local Encoder = require "framegate.protocol.encoder"
local Reader = require "framegate.socket.reader"
local Texts = require "framegate.session.texts"
local semaphore = require "ngx.semaphore"

local sub = string.sub

-- This table has four fields for an idle socket, and a fifth would take 96 bytes. So the transport is also the semaphore
-- on which its writer waits. The connection's traffic keeps the times of the last input and the last ping.

---@class Transport: ngx.semaphore
---@field connection Connection that it carries
---@field socket table raw request socket
---@field address integer? of nginx's connection; set only while flusher.lua, not the writer, may write to it
---@field unfinished Unfinished? message that has not arrived completely (reader.lua)
---@field room table? semaphore on which the reader waits for room
---@field is_reader_waiting boolean?
---@field reading "closing"|"ended"|nil "closing" after the peer's last message, "ended" after its end
---@field reader_ended table? semaphore on which the writer waits for the reader's end
---@field is_lost boolean? whether nothing more is to be written: the peer left before a close frame, or this is abandoned
---@field compression Compression|false of the messages of both sides; in the metatable, where it costs a socket no memory
---@field is_sent_away boolean? whether it ends when everything is written, and its session goes on without it
local Transport = setmetatable({}, { __index = semaphore })
Transport.__index = Transport
Transport.compression = false

local CHUNK = 65536
-- ngx_lua keeps a buffer the size of the largest write until the request ends.
local WRITE_BYTES = 16384
local ROOM_SECONDS = 60
local CONNECT_MS = 1000 -- has no effect: the socket is already connected

---@param connection Connection
---@param socket table raw request socket
---@param address integer? of nginx's connection, as DirectIo.address gives it
---@return Transport
function Transport.new(connection, socket, address)
  local self = setmetatable(semaphore.new(), Transport)
  self.connection, self.socket, self.address = connection, socket, address
  return self
end

local agreed = {} -- metatables by compression

--- Compresses messages from now on, and accepts compressed ones. Nothing may have been written or read yet.
---@param compression Compression? as negotiated in the handshake; nil for none
---@return Transport self
function Transport:agree(compression)
  if not compression then
    return self
  end
  local class = agreed[compression]
  if not class then
    class = setmetatable({ compression = compression }, { __index = Transport })
    class.__index = class
    agreed[compression] = class
  end
  return setmetatable(self, class)
end

--- Limits the time of each following read.
---@param seconds number
function Transport:limit_reading(seconds)
  self.socket:settimeouts(CONNECT_MS, Config.IDLE_TIMEOUT * 1000, math.max(seconds, 0.001) * 1000)
end

--- Reads what has arrived. It is a tail call, so a waiting thread keeps no frame for it.
---@return string? chunk
---@return string? err
function Transport:read() return self.socket:receiveany(CHUNK) end

--- Writes everything or fails. After a failure half a frame may be out, so nobody may write again.
---@param data string
---@return boolean ok
function Transport:write(data)
  local address = self.address
  self.address = nil
  for first = 1, #data, WRITE_BYTES do
    if not self.socket:send(#data <= WRITE_BYTES and data or sub(data, first, first + WRITE_BYTES - 1)) then
      return false
    end
  end
  self.address = address
  return true
end

--- Writes the first frames, before the two threads run: a client that asked for a session learns whether it has one. Yields.
---@param session Session?
---@param client Return|SessionRequest|nil nil when it asked for none
---@param is_resumed boolean
---@return boolean ok
function Transport:begin(session, client, is_resumed)
  if not client then
    return true
  end
  self:limit_reading(Config.IDLE_TIMEOUT)
  local frames = session and session:first_frames(client.key, is_resumed and client.received or 0, is_resumed)
    or Encoder.frame(Texts.session { key = client.key }, true)
  return self:write(self.compression and self.compression:apply_all(frames) or frames)
end

--- The function of the thread that reads.
Transport.reader = Reader.run

--- Wakes the writer if it waits. The semaphore's count is below 0 while it does.
function Transport:wake()
  if self:count() < 0 then
    self:post()
  end
end

--- Waits until the connection has room again. Only the reader calls it.
function Transport:wait_for_room()
  while self.connection:is_full() do
    self.room = self.room or semaphore.new()
    self.is_reader_waiting = true
    self.room:wait(ROOM_SECONDS)
    self.is_reader_waiting = nil
  end
end

--- Wakes the reader if it waits and there is room.
function Transport:wake_reader()
  if self.is_reader_waiting and not self.connection:is_full() then
    self.is_reader_waiting = nil
    self.room:post()
  end
end

--- Sets the message that has begun, or nil once it is complete.
---@param unfinished Unfinished?
function Transport:set_unfinished(unfinished) self.unfinished = unfinished end

--- Notes that the peer's last message has come. Nobody waits for anything it may still send.
function Transport:begin_closing() self.reading = "closing" end

--- Whether it still carries its connection. A session may have lost it, or have another one.
---@return boolean
function Transport:is_current() return not self.connection.session or self.connection.outbox.transport == self end

--- Notes that the reader has ended.
function Transport:end_reading()
  self.reading = "ended"
  if self.reader_ended then
    self.reader_ended:post()
  end
  if self.connection.phase == "open" then
    self.is_lost = true
    if not self.connection.session then
      self.connection:begin_closing()
    end
  end
  self:wake()
end

--- Ends this transport, which carries nothing any more.
function Transport:abandon()
  self.is_lost = true
  self:wake()
end

--- Ends this transport when everything is written: a close frame is the last.
function Transport:send_away()
  self.is_sent_away = true
  self:wake()
end

--- Reports to the connection that nginx frees the request.
function Transport:request_ended() Attachment.ended(self.connection, self) end

--- Waits for the peer's last message or its end.
---@param seconds number at most
function Transport:await_reader(seconds)
  if not self.reading and not self.connection.is_dropped then
    self.reader_ended = semaphore.new()
    self.reader_ended:wait(seconds)
  end
end

return Transport
