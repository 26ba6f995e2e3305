-- The resume event of a session whose handler decides about each return (`ws-session: 120;check`).
-- The handshake of the client that comes back waits here for the answer, before its 101.

local AddressCount = require "framegate.socket.address_count"
local Answer = require "framegate.dispatch.answer"
local Apply = require "framegate.socket.apply"
local Client = require "framegate.runtime.client"
local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local Event = require "framegate.dispatch.event"
local Record = require "framegate.socket.record"
local RequestEnd = require "framegate.socket.request_end"
local semaphore = require "ngx.semaphore"

---@class ResumeEvent a client that comes back, while its handler is asked
---@field session Session
---@field lines string header lines of the new handshake
---@field answered table semaphore on which the handshake waits
---@field answer Answer?
---@field is_sent boolean?
local ResumeEvent = {}
ResumeEvent.__index = ResumeEvent

local LOOK_SECONDS = 0.1 -- between two looks at a client

-- The event may wait for the answer to another one, which has the same time.
local function patience() return 2 * (Config.HANDLER_WAIT + Config.HANDLER_TIMEOUT) end

local function await(self, connection)
  local deadline = Clock.monotonic() + patience()
  while not self.answer and connection.phase == "open" and Clock.monotonic() < deadline and not Client.has_left() do
    self.answered:wait(LOOK_SECONDS)
  end
end

--- Notes that nobody waits for the answer any more. An event that was sent is still answered.
function ResumeEvent:request_ended()
  if not self.is_sent and self.session.returning == self then
    self.session:set_returning(nil)
  end
end

--- Asks the handler whether a client may have its session back, and waits for the answer. Yields.
---@param connection Connection
---@param client Return
---@return Answer? answer with a failure when no handler has answered; nil when the client has left, or when the session has
--- ended meanwhile
---@return boolean? is_busy whether the handler is asked about another client that comes back
function ResumeEvent.ask(connection, client)
  local session = connection.session
  if session.returning then
    return nil, true
  end
  local self = setmetatable({ session = session, lines = client.lines, answered = semaphore.new() }, ResumeEvent)
  RequestEnd.own(self)
  session:set_returning(self)
  connection:advance()
  await(self, connection)
  self:request_ended()
  if self.answer or connection.phase ~= "open" or Client.has_left() then
    return self.answer
  end
  return Answer.failed "timeout"
end

--- Makes the event of a client that comes back, when its turn has come: before the messages that wait, and also when the
--- outbox is full. It has header lines of its own.
---@param connection Connection
---@return Event? event
function ResumeEvent.due(connection)
  local self = connection.session and connection.session.returning
  if not self or connection.is_in_flight or connection.moving or connection.phase ~= "open" then
    return nil
  end
  self.is_sent = true
  local event = Event.own(connection, "resume")
  event.waiting, event.handshake = self, self.lines
  return event
end

local function apply(connection, event, answer)
  if answer.failure or connection.phase ~= "open" then
    return
  elseif answer.status >= 400 then
    local reason = ("the handler refused its client's return with %d"):format(answer.status)
    return connection:close(CloseCode.POLICY_VIOLATION, reason, "handler")
  end
  AddressCount.release(connection) -- its client may have another address now
  connection:set_handshake(event.handshake)
  AddressCount.add(connection)
  Record.update(connection)
  return Apply.answer(connection, event, answer)
end

--- Applies the answer: a refusal ends the session, and its client gets it. Otherwise the header lines of the new handshake
--- take the place of those before.
---@param connection Connection
---@param event Event
---@param answer Answer
---@return boolean? is_in_flight as Apply.answer gives it
function ResumeEvent.answered(connection, event, answer)
  local self = event.waiting
  self.session:set_returning(nil)
  self.answer = answer
  self.answered:post()
  return apply(connection, event, answer)
end

return ResumeEvent
