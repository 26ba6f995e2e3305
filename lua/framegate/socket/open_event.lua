-- The open event, the first event of a socket.
-- The handshake waits here for the answer and checks that its client is still connected.

local Address = require "framegate.protocol.address"
local AddressCount = require "framegate.socket.address_count"
local Agreement = require "framegate.socket.agreement"
local Answer = require "framegate.dispatch.answer"
local Apply = require "framegate.socket.apply"
local Attachment = require "framegate.socket.attachment"
local Client = require "framegate.runtime.client"
local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local ConnectionInfo = require "framegate.telemetry.connection_info"
local Effects = require "framegate.dispatch.effects"
local Event = require "framegate.dispatch.event"
local Gc = require "framegate.runtime.gc"
local OpenSlots = require "framegate.socket.open_slots"
local Places = require "framegate.session.places"
local Record = require "framegate.socket.record"
local RequestEnd = require "framegate.socket.request_end"
local semaphore = require "ngx.semaphore"

---@class OpenEvent: Handshake a handshake that waits
---@field connection Connection
---@field handshake { location: LocationOptions, wanted: SessionRequest? }
---@field event Event? its open event, once submitted
---@field slots OpenSlots of its handler
---@field slot table? semaphore on which it waits for a slot
---@field answered table semaphore on which it waits for the answer
---@field has_left_place boolean? whether its address was given its place back
---@field has_left boolean? whether its client or its request is gone
---@field is_waiting boolean?
---@field is_held boolean? whether the worker lives until its event is sent
---@field is_settled boolean? whether the answer was picked up, or none is awaited
local OpenEvent = {}
OpenEvent.__index = OpenEvent

local SLACK_SECONDS = 60 -- dispatch answers sooner; this only guards against a defect there
local RECORD_SECONDS = 1 -- for Redis to write a record: longer than it needs, and a client can wait that long
local LOOK_SECONDS = 0.1 -- shortest time between two looks at a client
local LOOKS_A_SECOND = 5000 -- limit over all waiting handshakes

local dispatch
local slots_of -- by handler: half of its lanes, the others stay free for open sockets
local waiting = 0

--- Gives this module the instances of its worker.
---@param worker Worker
function OpenEvent.wire(worker)
  dispatch, slots_of = worker.dispatch, {}
end

-- Returns whether the semaphore was posted in time, with the client still connected.
local function await(self, posted, seconds)
  local deadline = Clock.monotonic() + seconds
  waiting, self.is_waiting = waiting + 1, true
  local ok, left = false, seconds
  while not ok and left > 0 and not self.has_left do
    ok = posted:wait(math.min(left, math.max(LOOK_SECONDS, waiting / LOOKS_A_SECOND)))
    self.has_left = not ok and Client.has_left()
    left = deadline - Clock.monotonic()
  end
  waiting, self.is_waiting = waiting - 1, nil
  return ok
end

-- Each handler has slots of its own, so one that does not answer holds up no handshakes of others.
local function slots_for(connection)
  local name = connection.options.handler or ""
  slots_of[name] = slots_of[name] or OpenSlots.new(math.max(1, math.floor(Config.capacity.lanes / 2)))
  return slots_of[name]
end

--- Accepts a slot for which this handshake waited.
function OpenEvent:slot_granted() self.slot:post() end

--- Lets a client that comes back with the same key wait no longer, unless it has become that of a session.
---@param connection Connection
---@param wanted SessionRequest?
function OpenEvent.release_key(connection, wanted)
  if wanted then
    Places.release_key(wanted.key, connection.id)
  end
end

--- Gives up a socket that was not registered: no close event is owed.
---@param connection Connection
function OpenEvent.forgo(connection)
  Record.remove(connection)
  AddressCount.release(connection)
end

-- Frees the place of a client that has left while its handler is asked. If a socket comes of it, that is counted again.
local function leave_place(self)
  if not self.has_left_place then
    self.has_left_place = true
    AddressCount.release(self.connection)
  end
end

local function release(self)
  if self.is_held then
    self.is_held = nil
    dispatch:hold(-1)
  end
end

-- Gives up before the event was sent.
local function leave_unsent(self)
  if not self.is_settled then
    self.is_settled = true
    release(self)
    self.slots:leave(self)
    OpenEvent.release_key(self.connection, self.handshake.wanted)
    OpenEvent.forgo(self.connection)
  end
end

-- Returns whether the handshake has a slot. If not, its client has left, or the time is over.
local function take_slot(self)
  if self.slots:ask(self) then
    return true
  end
  self.slot = semaphore.new()
  await(self, self.slot, Config.HANDLER_WAIT + Config.HANDLER_TIMEOUT)
  self.has_left = self.has_left or Client.has_left()
  if self.has_slot and not self.has_left then
    return true
  end
  leave_unsent(self)
  return false
end

local function no_slot()
  local answer = Answer.failed "unavailable"
  answer.error.message = "other handshakes wait for the handler, too many to wait for this one"
  return answer
end

-- Sends the event when the record of the socket is safe, so that the handler gets the close event even if this machine is
-- lost. Returns false when the client has left.
local function submit(self)
  local event = Event.open(self.connection)
  Record.write(self.connection)
  local written = Record.written(self.connection)
  if written then
    self.is_held = true
    dispatch:hold(1)
    await(self, written, RECORD_SECONDS)
  end
  if self.has_left then
    leave_unsent(self)
    dispatch:check_idle()
    return false
  end
  release(self)
  self.event, event.waiting = event, self
  dispatch:submit(event)
  return true
end

--- Sends the open event and waits for its answer. From now on the request has an owner.
---@param connection Connection
---@param handshake { location: LocationOptions, wanted: SessionRequest? }
---@return Answer? answer nil when the client has left; if a close event is owed, it follows the answer
---@return Event? event nil when it was not sent
function OpenEvent.send(connection, handshake)
  Gc.note_idle_socket()
  local self = setmetatable({
    connection = connection,
    handshake = handshake,
    network = Address.network(ConnectionInfo.address(connection)),
    slots = slots_for(connection),
    answered = semaphore.new(),
  }, OpenEvent)
  RequestEnd.own(self)
  if not take_slot(self) then
    return not self.has_left and no_slot() or nil
  end
  if not submit(self) then
    return nil
  end
  await(self, self.answered, Config.HANDLER_WAIT + Config.HANDLER_TIMEOUT + SLACK_SECONDS)
  if self.has_left then
    leave_place(self)
    return nil
  end
  self.is_settled = true
  dispatch:opened(self.connection)
  return self.event.answer or Answer.failed("timeout"), self.event
end

local function ignore() end

-- The client left before the answer: a socket that the handler accepted is closed, or waits for its client as a session.
local function settle(self, answer)
  local connection, event = self.connection, self.event
  self.is_settled = true
  dispatch:opened(self.connection)
  if self.has_left_place then
    AddressCount.add(connection)
  end
  local is_success = Answer.is_success(answer)
  if not is_success and not Answer.may_be_accepted(answer) then
    OpenEvent.release_key(connection, self.handshake.wanted)
    return OpenEvent.forgo(connection)
  end
  local effects = is_success and Effects.read(answer)
  if effects and not Agreement.defect_of(answer) then
    Agreement.register(connection, answer, self.handshake)
  else
    connection:register()
  end
  OpenEvent.release_key(connection, self.handshake.wanted)
  Apply.effects(connection, event, effects or {}, ignore)
  Attachment.ended(connection, nil)
end

--- Notes that the request has ended, and the waiting thread with it.
function OpenEvent:request_ended()
  self.has_left = true
  if self.is_waiting then
    waiting, self.is_waiting = waiting - 1, nil
  end
  if not self.event then
    leave_unsent(self)
    return dispatch:check_idle()
  end
  local answer = self.event.answer
  if answer and not self.is_settled then
    settle(self, answer)
  elseif not answer then
    leave_place(self)
  end
end

--- Accepts the answer to the open event, and the handshake continues.
---@param event Event
---@param answer Answer
function OpenEvent.on_answered(event, answer)
  local self = event.waiting
  event.answer = answer
  self.slots:leave(self)
  if self.has_left then
    return settle(self, answer)
  end
  self.answered:post()
end

return OpenEvent
