-- What a handler sees of a socket: its messages become events, one at a time and in order, and what the handler answers is
-- applied. It knows nothing of TCP: transport.lua describes the seam between the two.

local Apply = require "framegate.socket.apply"
local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local CloseEvent = require "framegate.socket.close_event"
local Config = require "framegate.config"
local Encoder = require "framegate.protocol.encoder"
local Event = require "framegate.dispatch.event"
local Gc = require "framegate.runtime.gc"
local Inbox = require "framegate.socket.inbox"
local Lifecycle = require "framegate.telemetry.lifecycle"
local OpenEvent = require "framegate.socket.open_event"
local Options = require "framegate.socket.options"
local Outbox = require "framegate.push.outbox"
local Record = require "framegate.socket.record"
local Traffic = require "framegate.telemetry.traffic"

---@class Connection
---@field id string unguessable; begins with the names of node and worker
---@field path string path and query of the handshake
---@field handshake string header lines of the handshake that every event carries
---@field opened number wall clock, in seconds since 1970; opened_at and ended_at are by Clock.monotonic
---@field opened_at number
---@field phase "opening"|"open"|"closing"|"ended" until the 101; until nothing more may be sent; until TCP ends; then
---@field ended_at number?
---@field closing Closing? why it ends, as soon as that is known
---@field is_refused boolean? whether the handler refused it with a close frame: no close event is owed
---@field options Options
---@field events integer how many events were made so far, which is the number of the next; 0 is open
---@field is_in_flight boolean? whether an event is with the handler; the close event stays so
---@field inbox Inbox? what waits for the answer to that event
---@field outbox Outbox
---@field traffic Traffic
---@field state string? percent-encoded, as the handler last set it
---@field user string? as push/registry.lua alone sets it
---@field topics table? as push/topic.lua alone sets it
---@field batch_prefix string? what every event begins with in a batch (dispatch/event.lua)
local Connection = {}
Connection.__index = Connection

local LOST = { code = CloseCode.ABNORMAL, reason = "", cause = "lost" }
local dispatch, registry

--- Gives this module the instances of its worker.
---@param worker Worker
function Connection.wire(worker)
  dispatch, registry = worker.dispatch, worker.registry
end

---@param handshake { id: string, path: string, lines: string } of the socket
---@return Connection
function Connection.new(handshake)
  return setmetatable({
    id = handshake.id,
    path = handshake.path,
    handshake = handshake.lines,
    opened = ngx.now(),
    opened_at = Clock.monotonic(),
    phase = "opening",
    options = Options.NONE,
    events = 0,
    traffic = Traffic.new(),
    outbox = Outbox.new(),
  }, Connection)
end

--- Enters the registry: from now on the socket counts, and its close event is owed.
---@param options Options? that its location and its handler agreed on; none for one that will not be opened
function Connection:register(options)
  self.options = options or self.options
  registry:add(self)
end

--- The handler refused the socket with a close code, which its client can read only once there is a socket.
function Connection:refuse()
  self.is_refused = true
  Record.remove(self)
end

--- The 101 was sent: what waits in the outbox leaves by this transport.
---@param transport Transport
function Connection:open(transport)
  self.outbox:set_transport(transport)
  self.phase = self.outbox.is_closed and "closing" or "open"
  if not self.is_refused then
    Lifecycle.opened(self)
  end
end

--- An event was made that carries the number in `events`.
function Connection:count_event() self.events = self.events + 1 end

---@param prefix string
function Connection:set_batch_prefix(prefix) self.batch_prefix = prefix end

--- Its handler takes no batches any more.
function Connection:stop_batches() self.options = Options.without_batches(self.options) end

---@param state string? percent-encoded
function Connection:set_state(state) self.state = state end

--- Whether the inbox or the outbox is so full that nothing more may be read.
---@return boolean
function Connection:is_full() return self.outbox.bytes > Config.OUTBOX_BYTES or Inbox.is_full(self.inbox) end

local function push(self, frame, payload_bytes)
  if not self.outbox:push(frame) then
    return false
  end
  Traffic.sent(self.traffic, payload_bytes)
  return true
end

--- A message for the client: an answer, or one from the gateway itself.
---@param payload string
---@param is_text boolean
function Connection:send(payload, is_text) push(self, Encoder.frame(payload, is_text), #payload) end

--- A push. Only pushes are refused: answers always find room.
---@param message Message
---@return boolean delivered false when the reader is too slow for more, or the socket is closing
function Connection:offer(message)
  local bytes, frame = self.outbox.bytes, message.frame
  if bytes == 0 or bytes + #frame <= Config.OUTBOX_BYTES then
    return push(self, frame, message.payload_bytes)
  end
  if self.options.closes_on_overflow then
    self:close(CloseCode.TRY_AGAIN_LATER, "too slow to read what is sent", "overflow")
  end
  return false
end

-- One event is in flight at a time, and the outbox must have room for its answer.
local function may_send_event(self)
  return not self.is_in_flight and (self.outbox.bytes <= Config.OUTBOX_BYTES or self.phase == "ended")
end

local function send_message(self, payload, is_text)
  self.is_in_flight = true
  Gc.note_frame()
  dispatch:submit(Event.message(self, payload, is_text))
end

--- A message came.
---@param payload string
---@param is_text boolean
function Connection:receive(payload, is_text)
  if not self.inbox and may_send_event(self) then
    return send_message(self, payload, is_text)
  end
  self.inbox = Inbox.add_message(self.inbox, payload, is_text)
  self:advance()
end

--- Closes after the answers to what came before: the peer asked for it, broke the protocol, or the gateway ends.
---@param code integer? nil for an empty close frame
---@param reason string?
---@param cause string of framegate_sockets_closed_total
function Connection:close_after_replies(code, reason, cause)
  self.inbox = Inbox.add_close(self.inbox, { code = code, reason = reason, cause = cause })
  self:advance()
end

--- Drops the messages that wait: the gateway leaves.
function Connection:drop_inbox() self.inbox = Inbox.drop(self.inbox) end

--- Sets why the socket ends.
---@param code integer
---@param reason string?
---@param cause string of framegate_sockets_closed_total
function Connection:end_with(code, reason, cause) self.closing = { code = code, reason = reason or "", cause = cause } end

--- Nothing more may be sent: a close frame waits, or the peer is gone.
function Connection:begin_closing()
  self.outbox:close()
  self.phase = self.phase == "open" and "closing" or self.phase
end

--- Closes with this code, after what waits in the outbox. It is why the socket ends if nothing else was before.
---@param code integer? nil for an empty close frame
---@param reason string?
---@param cause string of framegate_sockets_closed_total
function Connection:close(code, reason, cause)
  local is_first = self.outbox:push(Encoder.close(code, reason))
  self:begin_closing()
  if is_first and not self.closing then
    self:end_with(code or CloseCode.NO_STATUS, reason, cause)
  end
end

--- Sends the next event that waits, if it may go. The last one, after the socket's end, is its close event.
function Connection:advance()
  if not may_send_event(self) then
    return
  end
  local item, rest = Inbox.take(self.inbox)
  self.inbox = rest
  if not item then
    if self.phase == "ended" and not self.is_refused then
      self.is_in_flight = true
      CloseEvent.send(self, self.ended_at)
    end
  elseif item.cause then
    self:close(item.code, item.reason, item.cause)
    self:advance()
  else
    send_message(self, item.payload, item.is_text)
    self.outbox:wake_reader()
  end
end

--- Dispatch reports what became of an event.
---@param event Event
---@param answer Answer
function Connection:answered(event, answer)
  if event.kind == "open" then
    return OpenEvent.on_answered(event, answer)
  elseif event.kind == "close" then
    return CloseEvent.on_answered(self, answer)
  end
  self.is_in_flight = false
  local ok, err = xpcall(Apply.answer, debug.traceback, self, event, answer)
  self:advance()
  if not ok then
    error(err, 0)
  end
end

--- nginx frees the request of the socket: it ends now, if no thread has ended it.
function Connection:request_ended() return self.phase == "ended" or self:finish() end

--- The socket has ended; the close event follows the answer to its last message.
function Connection:finish()
  local was_open = self.phase ~= "opening"
  Gc.note_body(self.outbox.bytes)
  self.outbox:clear()
  self.phase, self.ended_at, self.closing = "ended", Clock.monotonic(), self.closing or LOST
  if was_open and not self.is_refused then
    Lifecycle.closed(self)
  end
  registry:remove(self)
  Gc.note_end()
  self:advance()
  dispatch:check_idle()
end

return Connection
