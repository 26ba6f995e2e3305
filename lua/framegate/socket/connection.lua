-- A socket as its handler sees it: messages become events, one at a time and in order, and answers are applied.
-- It knows nothing of TCP. transport.lua describes the contract between the two.

local Apply = require "framegate.socket.apply"
local CloseEvent = require "framegate.socket.close_event"
local Ending = require "framegate.socket.ending"
local Event = require "framegate.dispatch.event"
local Gc = require "framegate.runtime.gc"
local Inbox = require "framegate.socket.inbox"
local Lifecycle = require "framegate.telemetry.lifecycle"
local Moving = require "framegate.socket.moving"
local OpenEvent = require "framegate.socket.open_event"
local Options = require "framegate.socket.options"
local Outbox = require "framegate.push.outbox"
local Questions = require "framegate.socket.questions"
local Record = require "framegate.socket.record"
local ResumeEvent = require "framegate.socket.resume_event"
local Sending = require "framegate.socket.sending"
local Streaming = require "framegate.socket.streaming"
local Traffic = require "framegate.telemetry.traffic"

---@class Connection
---@field id string unguessable; begins with the names of node and worker
---@field path string path and query of the handshake
---@field handshake string header lines of the handshake that every event carries
---@field phase "opening"|"open"|"closing"|"ended" until the 101; until nothing more may be sent; until TCP ends; after that
---@field ended_at number? by Clock.monotonic
---@field closing Closing? why it ends, as soon as that is known
---@field is_refused boolean? whether the handler refused it with a close frame: no close event is owed
---@field options Options
---@field is_in_flight boolean? whether an event is with the handler; stays true after the close event
---@field stream Stream? the answer to that event, while it streams
---@field inbox Inbox? messages that wait for the answer to that event
---@field outbox Outbox
---@field traffic Traffic
---@field state string? percent-encoded; the handler's last value
---@field user string? set only by push/registry.lua
---@field topics table? set only by push/topic.lua
---@field home string? id of the node that holds it, when another one opened it
---@field session Session? with which it outlives its transports
---@field moving MovingState? while it moves to another worker, or comes from one
---@field grip GripFacts? what its handler has left with the gateway in GRIP
---@field is_dropped true? whether it ends without a close frame
---@field batch_prefix string? start of each of its events in a batch (dispatch/event.lua)
local Connection = {}
Connection.__index = Connection

local dispatch, registry

--- Gives this module the instances of its worker.
---@param worker Worker
function Connection.wire(worker)
  dispatch, registry = worker.dispatch, worker.registry
end

---@param handshake { id: string, path: string, lines: string, options: Options? } of the socket; `options` before the open event
---@return Connection
function Connection.new(handshake)
  return setmetatable({
    id = handshake.id,
    path = handshake.path,
    handshake = handshake.lines,
    phase = "opening",
    options = handshake.options or Options.NONE,
    traffic = Traffic.new(),
    outbox = Outbox.new(),
  }, Connection)
end

--- Enters the registry. From now on the socket counts, and the gateway owes its close event.
---@param options Options? agreed by its location and its handler; nil for a socket that will not be opened
function Connection:register(options)
  self.options = options or self.options
  registry:add(self)
end

--- Records that the handler refused the socket with a close code. A client can read that code only from an open socket.
function Connection:refuse()
  self.is_refused = true
  Record.remove(self)
end

--- Opens after the 101: the outbox is now sent through this transport.
---@param transport Transport? nil for a session whose client has left already
function Connection:open(transport)
  self.outbox:set_transport(transport)
  self.phase = self.outbox.is_closed and "closing" or "open"
  Lifecycle.opened(self)
end

--- Lets the socket outlive its transports. Its client has asked for that, and its handler has agreed.
---@param session Session
function Connection:begin_session(session)
  self.session = session
  self.outbox:set_ring(session.ring)
end
--- Whether it is open and has no transport: its client is away.
---@return boolean
function Connection:is_detached() return self.session ~= nil and self.session.detached_at ~= nil end

--- When it began, by Clock.monotonic.
---@return number
function Connection:began_at() return self.traffic.opened_at end
--- Counts an event that carries the number in `traffic.events`.
function Connection:count_event() self.traffic.events = self.traffic.events + 1 end
---@param prefix string
function Connection:set_batch_prefix(prefix) self.batch_prefix = prefix end
--- Stops batches: its handler no longer accepts them.
function Connection:stop_batches() self.options = Options.without_batches(self.options) end
--- Sets the header lines of the handshake with which its client has come back.
---@param lines string
function Connection:set_handshake(lines)
  self.handshake, self.batch_prefix, self.trace_context = lines, nil, nil
end
---@param state string? percent-encoded
function Connection:set_state(state) self.state = state end

--- What its handler has left with the gateway in GRIP. It is made when it is needed.
---@return GripFacts
function Connection:grip_facts()
  self.grip = self.grip or {}
  return self.grip
end

--- Whether the inbox or the outbox is too full to read more.
---@return boolean
function Connection:is_full() return self.outbox:is_full() or Inbox.is_full(self.inbox) end

-- Only one event is in flight at a time, and the outbox must have room for its answer.
local function may_send_event(self)
  return not self.is_in_flight and not self.moving and (not self.outbox:is_full() or self.phase == "ended")
end

local function send_event(self, event)
  self.is_in_flight = true
  Gc.note_frame()
  dispatch:submit(event)
end

local function send_message(self, payload, is_text)
  local is_done = self.options.is_cached and Questions.ask(self, payload, is_text)
  return is_done or send_event(self, Event.message(self, payload, is_text))
end

--- Accepts a message from the client.
---@param payload string
---@param is_text boolean
function Connection:receive(payload, is_text)
  if not self.inbox and may_send_event(self) then
    return send_message(self, payload, is_text)
  end
  self:enqueue(Inbox.add_message(self.inbox, payload, is_text))
end

--- Sets what waits, and sends the first of it if it may go.
---@param inbox Inbox that also holds something new
function Connection:enqueue(inbox)
  self.inbox = inbox
  self:advance()
end

--- Closes after the answers to earlier messages. The peer closed or broke the protocol, or the gateway is shutting down.
---@param code integer? nil for an empty close frame
---@param reason string?
---@param cause string of framegate_sockets_closed_total
function Connection:close_after_replies(code, reason, cause)
  self:enqueue(Inbox.add_close(self.inbox, { code = code, reason = reason, cause = cause }))
end

--- Drops the messages that wait: the gateway leaves.
function Connection:drop_inbox() self.inbox = Inbox.drop(self.inbox) end

--- Sets why the socket ends.
---@param code integer
---@param reason string?
---@param cause string of framegate_sockets_closed_total
function Connection:end_with(code, reason, cause) self.closing = { code = code, reason = reason or "", cause = cause } end

--- Stops sending: a close frame waits, or the peer is gone.
function Connection:begin_closing()
  self.outbox:close()
  self.phase = self.phase == "open" and "closing" or self.phase
end

--- Sends the next waiting event, if it may go. After the socket's end, the last one is the close event.
function Connection:advance()
  local resume = ResumeEvent.due(self)
  if resume then
    return send_event(self, resume)
  elseif not may_send_event(self) then
    return Streaming.look(self) or Moving.look(self)
  end
  local item, rest = Inbox.take(self.inbox, self.session ~= nil)
  if rest ~= self.inbox then
    self.inbox = rest -- a new field takes memory, even if it is nil
  end
  if not item and self.phase == "ended" and not self.is_refused then
    self.is_in_flight = true
    CloseEvent.send(self, self.ended_at - self:began_at())
  elseif item and item.cause then
    self:close(item.code, item.reason, item.cause)
    self:advance()
  elseif item then
    if item.kind then
      send_event(self, Event.own(self, item.kind))
    else
      send_message(self, item.payload, item.is_text)
    end
    self.outbox:wake_reader()
    return self.is_in_flight or self:advance()
  end
end

local function apply(self, event, answer)
  Questions.settle(event, answer)
  return (event.waiting and ResumeEvent.answered or Apply.answer)(self, event, answer)
end

--- Accepts the result of an event from dispatch.
---@param event Event
---@param answer Answer
function Connection:answered(event, answer)
  if event.kind == "open" then
    return OpenEvent.on_answered(event, answer)
  elseif event.kind == "close" then
    return CloseEvent.on_answered(event, answer)
  end
  local ok, result = xpcall(apply, debug.traceback, self, event, answer)
  self.is_in_flight, self.stream = ok and result, nil
  self:advance()
  return ok or error(result, 0)
end

Connection.send, Connection.offer, Connection.begin_stream = Sending.send, Sending.offer, Streaming.begin
Connection.request_ended, Connection.leave, Connection.finish = Ending.request_ended, Ending.leave, Ending.finish
Connection.close, Connection.drop = Ending.close, Ending.drop

return Connection
