-- The thread that reads one socket: bytes to messages, messages to the connection. It ends when the peer is gone,
-- said goodbye, or broke the protocol; writer.lua ends the connection then.

local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local Counters = require "framegate.telemetry.counters"
local ConnectionInfo = require "framegate.telemetry.connection_info"
local HttpStatus = require "framegate.protocol.http_status"
local Log = require "framegate.runtime.log"
local MessageParser = require "framegate.protocol.message_parser"
local Rate = require "framegate.socket.rate"
local Traffic = require "framegate.telemetry.traffic"

local now, traceback = ngx.now, debug.traceback

local Reader = {}

local CHUNK = 65536
local RATE_LIMITED = Counters.place "framegate_frames_rate_limited_total"
local CLOSE_SECONDS = 2 -- for the answers of what came before a close frame

local function set_timeout(socket, seconds)
  socket:settimeouts(1000, Config.IDLE_TIMEOUT * 1000, math.max(seconds, 0.001) * 1000)
end

-- After the last message: answers of earlier ones may still go out, what comes in is ignored (RFC 6455
-- section 5.5.1), and the end of the peer's side ends the wait.
local function await_end(socket)
  local deadline = now() + CLOSE_SECONDS
  while true do
    local left = deadline - now()
    if left <= 0 then
      return
    end
    set_timeout(socket, left)
    if not socket:receiveany(CHUNK) then
      return
    end
  end
end

-- Closes behind the answers of what came before, or after CLOSE_SECONDS without them.
local function close_and_await(self, socket, code, reason, cause)
  self.is_over = true -- nobody waits for what the peer may still say
  self:close_in_turn(code, reason, cause)
  await_end(socket)
  self:close(code, reason, cause)
end

local function on_close(self, socket, payload)
  local code, reason, message = CloseCode.read(payload)
  if not code then
    return close_and_await(self, socket, reason, message, "protocol")
  end
  if not self.outbox.is_closed then
    self.close_code, self.close_reason, self.close_cause = code, reason, "client"
    close_and_await(self, socket, code ~= CloseCode.NO_STATUS and code or nil, nil, "client")
  end
end

-- A frame over the rate is answered at once, and is not the handler's to see.
local function is_too_fast(self)
  local seconds = self.rate and Rate.take(ConnectionInfo.address(self), self.rate)
  if seconds then
    Counters.count(RATE_LIMITED)
    local message = ("at most %g messages a second"):format(self.rate)
    self:send(HttpStatus.error_body { status = 429, message = message, retry_after = seconds }, true)
  end
  return seconds ~= nil
end

-- Takes everything that is complete. Returns true when reading is over.
local function take_messages(self, socket, messages)
  while true do
    local kind, payload, code = messages:next()
    if kind == "text" or kind == "binary" then
      Traffic.received(self.traffic, #payload)
      if not self.outbox.is_closed and not is_too_fast(self) then
        self:receive(payload, kind == "text")
      end
      self:wait_for_room()
    elseif kind == "ping" then
      self.outbox:pong(payload)
      self:wait_for_room()
    elseif kind == "close" then
      on_close(self, socket, payload)
      return true
    elseif kind == "error" then
      close_and_await(self, socket, code, payload, code == CloseCode.TOO_BIG and "too_large" or "protocol")
      return true
    elseif not kind then
      return false
    end
  end
end

-- Parsers that no socket uses now: an idle socket needs none.
local spare = {}

local function on_timeout(self)
  local unfinished = self.unfinished
  if unfinished and unfinished.ends_first then
    return self:close(
      CloseCode.POLICY_VIOLATION,
      ("a message must end within %g s"):format(Config.MESSAGE_TIMEOUT),
      "slow_message"
    )
  end
  self.close_cause = "idle"
  self.close_code, self.close_reason = CloseCode.ABNORMAL, ("nothing came for %g s"):format(Config.IDLE_TIMEOUT)
  self.outbox:close(CloseCode.GOING_AWAY, self.close_reason)
end

-- Which of the two times ends first is kept: nginx's timers go by another clock than ngx.now, and may be 1 ms early by it.
local function await_rest(socket, unfinished)
  local left = unfinished.deadline - now()
  unfinished.ends_first = left <= Config.IDLE_TIMEOUT
  set_timeout(socket, math.min(Config.IDLE_TIMEOUT, left))
end

-- Takes what was read. Returns whether reading is over.
local function work(self, socket, chunk)
  local unfinished = self.unfinished
  local messages = unfinished and unfinished.messages
    or table.remove(spare)
    or MessageParser.new(Config.MAX_MESSAGE_BYTES)
  messages:push(chunk)
  if take_messages(self, socket, messages) then
    return true
  end
  if messages:is_unfinished() then
    self.unfinished = unfinished or { messages = messages, deadline = now() + Config.MESSAGE_TIMEOUT }
    await_rest(socket, self.unfinished)
    return false
  end
  spare[#spare + 1] = messages
  if unfinished then
    self.unfinished = nil
    set_timeout(socket, Config.IDLE_TIMEOUT)
  end
  return false
end

local function finish(self)
  self.has_reader_ended = true
  if self.reader_ended then
    self.reader_ended:post()
  end
  if not self.outbox.is_closed then
    self.outbox:abandon()
  end
  self.outbox:wake()
end

local function take(self, socket, chunk, err)
  if not chunk then
    if err == "timeout" then
      on_timeout(self)
    end
    return true
  end
  self.last_read = now()
  local ok, is_over = xpcall(work, traceback, self, socket, chunk)
  if not ok then
    Log.error(self.id, "reading failed: ", is_over)
  end
  return not ok or is_over
end

--- Reads until the socket ends, and wakes the writer then. As in the writer, a thread that waits holds few values.
---@param self Connection
---@param socket table the raw request socket
function Reader.run(self, socket)
  set_timeout(socket, Config.IDLE_TIMEOUT)
  while not take(self, socket, socket:receiveany(CHUNK)) do
  end
  return finish(self)
end

return Reader
