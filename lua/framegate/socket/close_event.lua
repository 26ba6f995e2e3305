-- The close event, the last event of a socket.
-- The worker that held the socket sends it (connection.lua). If that worker was killed, another one does (orphans.lua).

local Apply = require "framegate.socket.apply"
local Event = require "framegate.dispatch.event"
local Record = require "framegate.socket.record"

local CloseEvent = {}

local dispatch

--- Gives this module the instances of its worker.
---@param worker Worker
function CloseEvent.wire(worker) dispatch = worker.dispatch end

--- Sends the close event.
---@param socket Connection|Orphan whose `closing` holds why it ended
---@param ended_at number by Clock.monotonic, in seconds
function CloseEvent.send(socket, ended_at)
  local closing = socket.closing
  local seconds = ended_at - socket.opened_at
  dispatch:submit(Event.close(socket, { code = closing.code, reason = closing.reason, seconds = seconds }))
end

--- Applies the answer's effects on other sockets and removes the record.
---@param socket Connection|Orphan
---@param answer Answer
function CloseEvent.on_answered(socket, answer)
  Apply.close_answer(socket.id, answer)
  Record.remove(socket)
end

return CloseEvent
