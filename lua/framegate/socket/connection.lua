-- One open socket: its messages go to the handler one at a time and in order, and what the handler answers is
-- carried out. reader.lua and writer.lua are its two threads; this file is what happens between them.

local Answer = require "framegate.dispatch.answer"
local Apply = require "framegate.socket.apply"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local Event = require "framegate.dispatch.event"
local Gc = require "framegate.runtime.gc"
local Inbox = require "framegate.socket.inbox"
local Lifecycle = require "framegate.telemetry.lifecycle"
local Outbox = require "framegate.push.outbox"
local Record = require "framegate.socket.record"
local Traffic = require "framegate.telemetry.traffic"
local semaphore = require "ngx.semaphore"

---@class Connection
---@field id string unguessable; begins with the names of node and worker
---@field path string path and query of the handshake
---@field handshake string header lines of the handshake that every event carries
---@field events integer how many events were made so far
---@field state string? percent-encoded, as the handler last set it
---@field user string?
---@field takes_batches boolean
---@field text_mode string? text, json or form
---@field outbox Outbox
---@field traffic Traffic
---@field last_read number when something last came, in seconds
---@field last_ping number? when the peer was last pinged, in seconds
---@field rate number? frames a second that its address may send
---@field closes_on_overflow boolean? whether a push that finds no room closes it
local Connection = {}
Connection.__index = Connection

local dispatch, registry

--- Gives this module the instances of its worker.
---@param worker Worker
function Connection.wire(worker)
  dispatch, registry = worker.dispatch, worker.registry
end

---@param facts { id: string, path: string, handshake: string }
---@return Connection
function Connection.new(facts)
  return setmetatable({
    id = facts.id,
    path = facts.path,
    handshake = facts.handshake,
    opened = ngx.now(),
    last_read = ngx.now(),
    events = 0,
    traffic = Traffic.new(),
    outbox = Outbox.new(),
  }, Connection)
end

--- Sends the open event and waits for its answer.
---@return Answer
---@return Event
function Connection:ask_to_open()
  Gc.note_idle_socket()
  local event = Event.open(self)
  event.semaphore = semaphore.new()
  Record.write(self)
  dispatch:submit(event)
  event.semaphore:wait(Config.HANDLER_WAIT + Config.HANDLER_TIMEOUT + 60)
  dispatch:opened()
  return event.answer or Answer.failed("timeout"), event
end

--- Whether the queue or the outbox is so full that nothing more may be read.
function Connection:is_full() return self.outbox.bytes > Config.OUTBOX_BYTES or Inbox.is_full(self) end

local function push(self, frame)
  local taken = self.outbox:push(frame)
  if taken then
    Traffic.sent(self.traffic, #frame)
  end
  return taken
end

--- A message for the client: an answer, or what the gateway says itself.
---@param payload string
---@param is_text boolean
function Connection:send(payload, is_text) push(self, Outbox.build(payload, is_text)) end

--- A push. Only pushes are refused: answers always find room.
---@param frame string whole, as Outbox.build gives it
---@return boolean delivered false when the reader is too slow for more, or the socket is closing
function Connection:offer(frame)
  local outbox = self.outbox
  if outbox.bytes == 0 or outbox.bytes + #frame <= Config.OUTBOX_BYTES then
    return push(self, frame)
  end
  if self.closes_on_overflow then
    self:close(CloseCode.TRY_AGAIN_LATER, "too slow to read what is sent", "overflow")
  end
  return false
end

--- Waits until there is room again. Only the reader calls it.
function Connection:wait_for_room()
  while self:is_full() and not self.has_ended do
    self.room = self.room or semaphore.new()
    self.is_reader_waiting = true
    self.room:wait(60)
  end
  self.is_reader_waiting = false
end

local function wake_reader(self)
  if self.is_reader_waiting and not self:is_full() then
    self.is_reader_waiting = false
    self.room:post()
  end
end

-- One event is in flight at a time, and the outbox must have room for its answer.
local function may_send_event(self)
  return not self.is_in_flight and (self.outbox.bytes <= Config.OUTBOX_BYTES or self.has_ended)
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
  if not self.queue and may_send_event(self) then
    return send_message(self, payload, is_text)
  end
  Inbox.add_message(self, payload, is_text)
  self:advance()
end

--- Closes behind the answers of what came before: the peer asked for it, or broke the protocol.
---@param code integer? nil for an empty close frame
---@param reason string?
---@param cause string of framegate_sockets_closed_total
function Connection:close_in_turn(code, reason, cause)
  Inbox.add_close(self, { code = code, reason = reason, cause = cause })
  self:advance()
end

--- Closes with this code, after what waits in the outbox.
---@param code integer?
---@param reason string?
---@param cause string of framegate_sockets_closed_total
function Connection:close(code, reason, cause)
  if self.outbox:close(code, reason) and not self.close_code then
    self.close_code, self.close_reason, self.close_cause = code or CloseCode.NO_STATUS, reason, cause
  end
end

-- The event after the last: the socket is gone and its messages were answered.
local function announce_end(self)
  self.has_announced_end = true
  dispatch:submit(Event.close(self, {
    code = self.close_code or CloseCode.ABNORMAL,
    reason = self.close_reason or "",
    seconds = self.ended - self.opened,
  }))
end

--- Sends the next event that waits, if it may go.
function Connection:advance()
  if not may_send_event(self) then
    return
  end
  local item = Inbox.take(self)
  if not item then
    if self.has_ended and not self.has_announced_end and not self.is_refused then
      announce_end(self)
    end
  elseif item.is_close then
    self:close(item.code, item.reason, item.cause)
    self:advance()
  else
    send_message(self, item.payload, item.is_text)
    wake_reader(self)
  end
end

--- Room was made in the outbox.
function Connection:drained()
  if self.queue then
    self:advance()
  end
  wake_reader(self)
end

--- Dispatch says what became of an event.
---@param event Event
---@param answer Answer
function Connection:answered(event, answer)
  if event.kind == "open" then
    event.answer = answer
    return event.semaphore:post()
  end
  if event.kind == "close" then
    Apply.close_answer(self.id, answer)
    return Record.remove(self)
  end
  self.is_in_flight = false
  local ok, err = xpcall(Apply.answer, debug.traceback, self, event, answer)
  self:advance()
  if not ok then
    error(err, 0)
  end
end

--- Enters the registry: from now on the socket counts, and its close event is owed.
function Connection:register()
  if not self.is_refused then
    registry:add(self)
  end
end

--- The socket is gone; the close event follows the answer to its last message.
function Connection:finish()
  Gc.note_body(self.outbox.bytes)
  self.outbox:clear()
  self.has_ended, self.ended = true, ngx.now()
  Lifecycle.closed(self)
  registry:remove(self)
  Gc.note_end()
  self:advance()
  dispatch:check_idle()
end

return Connection
