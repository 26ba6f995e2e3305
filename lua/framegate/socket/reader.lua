-- The thread that reads one transport: it turns bytes into messages and gives them to the connection.
-- It ends when the peer is gone, sent a close frame, or broke the protocol. writer.lua then ends the connection.

local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local Compression = require "framegate.push.compression"
local Config = require "framegate.config"
local ConnectionInfo = require "framegate.telemetry.connection_info"
local Counters = require "framegate.telemetry.counters"
local DirectIo = require "framegate.runtime.direct_io"
local Encoder = require "framegate.protocol.encoder"
local Gc = require "framegate.runtime.gc"
local HttpStatus = require "framegate.protocol.http_status"
local Keeper = require "framegate.socket.keeper"
local Log = require "framegate.runtime.log"
local MessageParser = require "framegate.protocol.message_parser"
local Rate = require "framegate.socket.rate"
local Traffic = require "framegate.telemetry.traffic"
local Turn = require "framegate.runtime.turn"

local now, traceback = Clock.monotonic, debug.traceback

local Reader = {}

---@class Unfinished a message that has not arrived completely
---@field messages MessageParser that holds the part that has arrived
---@field number integer how many messages the parser had ended when this one began
---@field deadline number by Clock.monotonic
---@field ends_first boolean whether the deadline comes before IDLE_TIMEOUT

local RATE_LIMITED = Counters.place "framegate_frames_rate_limited_total"
local CLOSE_SECONDS = 2 -- for the answers to messages that came before a close frame

-- Waits after the last message, until the peer's side ends. Answers to earlier messages may still go out.
-- The gateway ignores whatever still comes in (RFC 6455 section 5.5.1).
local function await_end(self)
  local deadline = now() + CLOSE_SECONDS
  repeat
    local left = deadline - now()
    if left <= 0 then
      return
    end
    self:limit_reading(left)
    local chunk = self:read()
    chunk = chunk and DirectIo.complete(chunk)
    Turn.spend(self, chunk and #chunk or 0)
  until not chunk
end

-- Closes after the answers to earlier messages, or after CLOSE_SECONDS without them.
local function close_and_await(self, code, reason, cause)
  self:begin_closing()
  self.connection:close_after_replies(code, reason, cause)
  await_end(self)
  self.connection:close(code, reason, cause)
end

-- The echo of our own close frame ends only the transport of a session, which goes on elsewhere (RFC 6455 section 5.5.1).
local function on_close(self, payload)
  local code, reason, message = CloseCode.read(payload)
  if not code then
    return close_and_await(self, reason, message, "protocol")
  end
  if self.connection.phase == "open" and not (self.is_sent_away and code == CloseCode.SERVICE_RESTART) then
    self.connection:end_with(code, reason, "client")
    close_and_await(self, code ~= CloseCode.NO_STATUS and code or nil, nil, "client")
  end
end

-- The gateway itself answers a frame over the rate; the handler never sees it.
local function is_too_fast(connection)
  local rate = connection.options.rate
  local seconds = rate and Rate.take(ConnectionInfo.address(connection), rate)
  if seconds then
    Counters.count(RATE_LIMITED)
    local message = ("at most %g messages a second"):format(rate)
    connection:send(HttpStatus.error_body { status = 429, message = message, retry_after = seconds }, true)
  end
  return seconds ~= nil
end

-- Counts a message of a session's client, whatever becomes of it.
local function count(connection, payload)
  if connection.session:count_received(#payload) then
    Keeper.report(connection)
  else
    Keeper.note(connection)
  end
end

local function on_message(connection, payload, is_text)
  Traffic.received(connection.traffic, #payload)
  if connection.session then
    count(connection, payload)
  end
  if connection.phase == "open" and not is_too_fast(connection) then
    connection:receive(payload, is_text)
  end
end

-- Decompressing takes time, as reading the bytes would have.
local function note_compressed(self, deflated, inflated)
  Compression.note_received(deflated, inflated)
  Turn.spend(self, deflated + inflated)
end

local function on_pong(connection, payload)
  local ring = connection.session.ring
  ring:pong(payload)
  if ring:is_unasked() then
    Keeper.note(connection)
  end
end

-- Takes every complete message. Returns true when reading is over.
local function take_messages(self, messages)
  local connection = self.connection
  while self:is_current() do
    local kind, payload, code = messages:next()
    if kind == "text" or kind == "binary" then
      on_message(connection, payload, kind == "text")
      self:wait_for_room()
      if messages.deflated then
        note_compressed(self, messages.deflated, #payload)
      end
    elseif kind == "ping" then
      connection.outbox:push(Encoder.pong(payload))
      self:wait_for_room()
    elseif kind == "pong" and connection.session then
      on_pong(connection, payload)
    elseif kind == "close" then
      on_close(self, payload)
      return true
    elseif kind == "error" then
      close_and_await(self, code, payload, code == CloseCode.TOO_BIG and "too_large" or "protocol")
      return true
    elseif not kind then
      return false
    end
    Turn.spend(self, Turn.FRAME_BYTES)
  end
  return true
end

-- Parsers that no socket uses now. An idle socket needs none.
local spare = {}

local function on_slow_message(connection)
  local reason = ("a message must end within %g s"):format(Config.MESSAGE_TIMEOUT)
  connection:close(CloseCode.POLICY_VIOLATION, reason, "slow_message")
end

local function on_timeout(self)
  local connection, unfinished = self.connection, self.unfinished
  if connection.session then
    return -- a transport that is dead; the session goes on
  elseif unfinished and unfinished.ends_first then
    return on_slow_message(connection)
  end
  local reason = ("nothing came for %g s"):format(Config.IDLE_TIMEOUT)
  connection:end_with(CloseCode.ABNORMAL, reason, "idle")
  connection:close(CloseCode.GOING_AWAY, reason, "idle")
end

-- Waits for the rest of an unfinished message. Returns whether its time is over.
--
-- `ends_first` records which of the two times ends first. nginx's timers may fire early, because their clock stands still
-- while Lua runs.
local function await_rest(self, messages)
  local unfinished = self.unfinished or { messages = messages }
  if unfinished.number ~= messages.ended then
    unfinished.number, unfinished.deadline = messages.ended, now() + Config.MESSAGE_TIMEOUT
  end
  local left = unfinished.deadline - now()
  unfinished.ends_first = left <= Config.IDLE_TIMEOUT
  self:set_unfinished(unfinished)
  self:limit_reading(math.min(Config.IDLE_TIMEOUT, left))
  return left <= 0
end

-- Processes what was read. Returns whether reading is over.
local function work(self, chunk)
  if self.connection.session and self:is_current() then
    self.connection.session:confirm()
  end
  local unfinished = self.unfinished
  local messages = unfinished and unfinished.messages
    or table.remove(spare)
    or MessageParser.new(Config.MAX_MESSAGE_BYTES)
  messages:push(chunk, self.compression ~= false)
  Turn.spend(self, #chunk)
  if take_messages(self, messages) then
    return true
  end
  if messages:is_unfinished() then
    Gc.note_body(messages:received()) -- it may never be whole
    local is_late = await_rest(self, messages)
    if is_late then
      on_slow_message(self.connection)
    end
    return is_late
  end
  spare[#spare + 1] = messages
  if unfinished then
    self:set_unfinished(nil)
    self:limit_reading(Config.IDLE_TIMEOUT)
  end
  return false
end

-- Returns whether reading is over, and whether what arrived together with the handshake is read.
--
-- nginx has that in a buffer of its own, from which only ngx_lua reads. It is read when ngx_lua finds less than it can take.
local function take(self, is_behind, chunk, err)
  if not chunk then
    if err == "timeout" then
      on_timeout(self)
    end
    return true
  end
  Traffic.note_read(self.connection.traffic)
  chunk = is_behind and DirectIo.complete(chunk) or chunk
  local ok, is_over = xpcall(work, traceback, self, chunk)
  if not ok then
    Log.error(self.connection.id, "reading failed: ", is_over)
  end
  return not ok or is_over, is_behind or #chunk < DirectIo.CHUNK_BYTES
end

--- Reads until the peer's side ends, then wakes the writer. As in the writer, a waiting thread holds few values.
---@param self Transport
function Reader.run(self)
  self:limit_reading(Config.IDLE_TIMEOUT)
  local is_over, is_behind = false, false
  while not is_over do
    is_over, is_behind = take(self, is_behind, self:read())
  end
  return self:end_reading()
end

return Reader
