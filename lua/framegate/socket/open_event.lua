-- The first event of a socket: its handshake waits here for the answer.

local Answer = require "framegate.dispatch.answer"
local Config = require "framegate.config"
local Event = require "framegate.dispatch.event"
local Gc = require "framegate.runtime.gc"
local Record = require "framegate.socket.record"
local semaphore = require "ngx.semaphore"

local OpenEvent = {}

local SLACK_SECONDS = 60 -- dispatch answers sooner: this is only for a defect there

local dispatch

--- Gives this module the instances of its worker.
---@param worker Worker
function OpenEvent.wire(worker) dispatch = worker.dispatch end

--- Sends the open event and waits for its answer.
---@param connection Connection
---@return Answer
---@return Event
function OpenEvent.send(connection)
  Gc.note_idle_socket()
  local event = Event.open(connection)
  event.semaphore = semaphore.new()
  Record.write(connection)
  dispatch:submit(event)
  event.semaphore:wait(Config.HANDLER_WAIT + Config.HANDLER_TIMEOUT + SLACK_SECONDS)
  dispatch:opened()
  return event.answer or Answer.failed("timeout"), event
end

--- The open event was answered: the handshake goes on.
---@param event Event
---@param answer Answer
function OpenEvent.on_answered(event, answer)
  event.answer = answer
  event.semaphore:post()
end

return OpenEvent
