-- One TCP connection that carries a socket: its raw request socket, and what the two threads that read and write it need. It
-- knows nothing of events; what a handler sees of a socket is connection.lua.
--
-- The seam between the two:
--   * A connection has at most one transport at a time. It may get several, one after the other; a transport never changes its
--     connection.
--   * What waits to be sent is the connection's: its outbox outlives the transport. Where it leaves to is the transport's:
--     `outbox.transport` is set by Connection:open and cleared by Connection:finish, before the writer's thread returns.
--     flusher.lua finds `address` only through it: with the thread ends nginx's request, and the address points nowhere.
--   * The transport's threads report to the connection: receive (a message), advance (there may be room again), close,
--     close_after_replies and end_with (the peer's close, or its fault), begin_closing (the peer is gone without a close
--     frame) and finish (both threads are over). Pings and pongs they push into the outbox themselves.
--   * The flusher and the connection call on the transport: wake (the writer is needed) and wake_reader (there is room).
--   * Either reads the other's fields, and changes them by methods alone.

local Config = require "framegate.config"
local semaphore = require "ngx.semaphore"

local sub = string.sub

-- Of an idle socket this table has four fields, and a fifth would take 96 bytes. So it is the semaphore on which its writer
-- waits, and the times at which something came or was pinged are with the connection's traffic.

---@class Transport: ngx.semaphore
---@field connection Connection that it carries
---@field socket table raw request socket
---@field address integer? of nginx's connection, while flusher.lua may write to it: not while the writer does
---@field unfinished Unfinished? message that has begun (reader.lua)
---@field room table? semaphore on which the reader waits for room
---@field is_reader_waiting boolean?
---@field reading "closing"|"ended"|nil whether the peer's last message has come, or its end
---@field reader_ended table? semaphore on which the writer waits for the reader's end
---@field is_lost boolean? whether the peer is gone without a close frame of ours on its way
local Transport = setmetatable({}, { __index = semaphore })
Transport.__index = Transport

local CHUNK = 65536
-- ngx_lua keeps a buffer as large as the largest write for as long as the request lives.
local WRITE_BYTES = 16384
local ROOM_SECONDS = 60
local CONNECT_MS = 1000 -- never used: the socket is connected

---@param connection Connection
---@param socket table raw request socket
---@param address integer? of nginx's connection, as Flusher.address gives it
---@return Transport
function Transport.new(connection, socket, address)
  local self = setmetatable(semaphore.new(), Transport)
  self.connection, self.socket, self.address = connection, socket, address
  return self
end

--- Limits how long the next reads may take.
---@param seconds number
function Transport:limit_reading(seconds)
  self.socket:settimeouts(CONNECT_MS, Config.IDLE_TIMEOUT * 1000, math.max(seconds, 0.001) * 1000)
end

--- Reads what has come. A tail call: a thread that waits keeps no frame for it.
---@return string? chunk
---@return string? err
function Transport:read() return self.socket:receiveany(CHUNK) end

--- Writes everything, or fails: half a frame may be out then, and nobody may write any more.
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

--- Wakes the writer if it waits: the semaphore's count is below 0 then.
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

--- A message has begun, or, with nil, the one that had begun is complete.
---@param unfinished Unfinished?
function Transport:set_unfinished(unfinished) self.unfinished = unfinished end

--- The peer's last message has come: nobody waits for what it may still send.
function Transport:begin_closing() self.reading = "closing" end

--- The reader has ended.
function Transport:end_reading()
  self.reading = "ended"
  if self.reader_ended then
    self.reader_ended:post()
  end
  if self.connection.phase == "open" then
    self.is_lost = true
    self.connection:begin_closing()
  end
  self:wake()
end

--- nginx frees the request that carried it.
function Transport:request_ended() self.connection:request_ended() end

--- Waits until the peer's last message has come, or its end.
---@param seconds number at most
function Transport:await_reader(seconds)
  if not self.reading then
    self.reader_ended = semaphore.new()
    self.reader_ended:wait(seconds)
  end
end

return Transport
