-- The thread of one transport that pings an idle peer and writes what flusher.lua cannot.
-- It sends the whole outbox in one write. When it ends, the connection ends.

local Attachment = require "framegate.socket.attachment"
local Client = require "framegate.runtime.client"
local Config = require "framegate.config"
local Encoder = require "framegate.protocol.encoder"
local Gc = require "framegate.runtime.gc"
local Latest = require "framegate.push.latest"
local Log = require "framegate.runtime.log"
local Traffic = require "framegate.telemetry.traffic"

local traceback = debug.traceback
local spawn, kill = ngx.thread.spawn, ngx.thread.kill

local Writer = {}

local CLOSE_SECONDS = 3 -- for the peer to answer a close frame
local SLACK_SECONDS = 0.002 -- a ping may be this early: timers count in milliseconds

-- Seconds until a ping is due: PING_INTERVAL after the last sign of life or the last ping.
local function until_ping(self) return Config.PING_INTERVAL - Traffic.silence(self.connection.traffic) end

local function write_waiting(self)
  local outbox = self.connection.outbox
  local data = outbox:take()
  if not data then
    return true
  end
  local ok = self:write(data)
  if not self:is_current() then
    return false
  end
  outbox:sent(#data)
  if ok then
    self.connection:advance()
    self:wake_reader()
  end
  return ok
end

-- What the kernel has accepted cannot be replaced by a newer frame.
local function limit_kernel(latest)
  if latest and not latest.is_limited then
    latest:set_limited()
    Client.limit_unsent(Latest.PART_BYTES)
  end
end

-- In a session every ping asks what the client has: it may answer only the last one (RFC 6455 section 5.5.3).
local function ping(session) return session and session.ring:ping() or Encoder.PING end

-- Writes the waiting frames. Returns whether the connection is over.
local function work(self)
  local outbox = self.connection.outbox
  limit_kernel(outbox.latest)
  while outbox.count > 0 and not self.is_lost do
    if not write_waiting(self) then
      return true
    end
  end
  if until_ping(self) <= SLACK_SECONDS then
    Gc.note_idle_socket()
    Traffic.note_ping(self.connection.traffic)
    outbox:push(ping(self.connection.session))
  end
  return self.is_lost or (outbox.is_closed or self.is_sent_away) and outbox.count == 0
end

-- Returns whether the connection is over; if not, nothing waits.
local function step(self)
  local ok, is_over
  repeat
    ok, is_over = xpcall(work, traceback, self)
  until not ok or is_over or self.connection.outbox.count == 0
  if not ok then
    Log.error(self.connection.id, "writing failed: ", is_over)
  end
  return not ok or is_over
end

-- After our close frame, waits for the peer's close frame or its end. After a failed write, lets the reader finish what the
-- peer sent before.
--
-- A session that goes on loses this transport before that.
local function finish(self, reader)
  if self.connection.session and self.connection.phase == "open" then
    Attachment.ended(self.connection, self)
  end
  if not self.is_lost then
    self:await_reader(CLOSE_SECONDS)
  end
  kill(reader)
  Attachment.ended(self.connection, self)
end

--- Runs both threads until the socket ends, and the request with it. A waiting thread holds only the values of its outer
--- function, because an idle socket's Lua memory is mostly its two stacks.
---@param self Transport
function Writer.run(self)
  local reader = spawn(self.reader, self)
  while not step(self) do
    self:wait(math.max(until_ping(self), 0.001))
  end
  return finish(self, reader)
end

return Writer
