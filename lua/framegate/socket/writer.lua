-- The thread of one socket that pings an idle peer and writes what sender.lua cannot: what waits in the outbox leaves in one
-- write. Its end is the end of the connection.

local Config = require "framegate.config"
local Gc = require "framegate.runtime.gc"
local Log = require "framegate.runtime.log"
local Reader = require "framegate.socket.reader"
local Flusher = require "framegate.push.flusher"
local semaphore = require "ngx.semaphore"

local sub = string.sub
local now, traceback = ngx.now, debug.traceback
local spawn, kill = ngx.thread.spawn, ngx.thread.kill

local Writer = {}

-- ngx_lua keeps a buffer as large as the largest write for as long as the request lives.
local WRITE_BYTES = 16384
local CLOSE_SECONDS = 3 -- for the peer to answer a close frame

local function write(socket, data)
  for first = 1, #data, WRITE_BYTES do
    if not socket:send(#data <= WRITE_BYTES and data or sub(data, first, first + WRITE_BYTES - 1)) then
      return false
    end
  end
  return true
end

local function write_waiting(self, socket)
  local outbox = self.outbox
  local data = outbox:take()
  if not data then
    return true
  end
  outbox.is_writing = true
  local ok = write(socket, data)
  outbox:sent(#data)
  if ok then
    outbox.is_writing = nil -- else half a frame may be out, and nothing may follow it
    self:drained()
  end
  return ok
end

-- Seconds until the next ping: PING_INTERVAL after the last sign of life, and after the last ping.
local function until_ping(self)
  return math.max(Config.PING_INTERVAL - (now() - math.max(self.last_read, self.last_ping or 0)), 0.001)
end

-- Writes what waits. Returns whether the connection is over.
local function work(self, socket)
  local outbox = self.outbox
  while outbox.count > 0 and not outbox.is_abandoned do
    if not write_waiting(self, socket) then
      return true
    end
  end
  if until_ping(self) <= 0.002 then
    Gc.note_idle_socket()
    self.last_ping = now()
    outbox:ping()
  end
  return outbox.is_abandoned or outbox.is_closed and outbox.count == 0
end

-- Returns whether the connection is over; if not, nothing waits.
local function step(self, socket)
  local ok, is_over
  repeat
    ok, is_over = xpcall(work, traceback, self, socket)
  until not ok or is_over or self.outbox.count == 0
  if not ok then
    Log.error(self.id, "writing failed: ", is_over)
  end
  return not ok or is_over
end

-- A close frame was sent, and the peer's comes next, or its end; or writing has failed, and what the peer sent before is read.
local function await_reader(self)
  if not self.is_over and not self.has_reader_ended and not self.outbox.is_abandoned then
    self.reader_ended = semaphore.new()
    self.reader_ended:wait(CLOSE_SECONDS)
  end
end

local function finish(self, reader)
  await_reader(self)
  kill(reader)
  self:finish()
end

--- Runs both threads until the socket ends, and the request with it. A thread that waits holds no more than the values of
--- its outer function: the memory of an idle socket in Lua is mostly its two stacks.
---@param self Connection
---@param socket table the raw request socket
function Writer.run(self, socket)
  local reader = spawn(Reader.run, self, socket)
  self.outbox.address = Flusher.address()
  while not step(self, socket) do
    self.outbox:wait(until_ping(self))
  end
  return finish(self, reader)
end

return Writer
