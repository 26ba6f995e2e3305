-- The close event, the last event of a socket.
-- The worker that held the socket sends it (connection.lua). If that worker is gone, another one does (orphan.lua).

local Answer = require "framegate.dispatch.answer"
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
---@param seconds number how long it was open
function CloseEvent.send(socket, seconds)
  local closing = socket.closing
  dispatch:submit(Event.close(socket, { code = closing.code, reason = closing.reason, seconds = seconds }))
end

--- Applies the answer's effects on other sockets. The record goes when nothing more is owed.
---@param socket Connection|Orphan
---@param answer Answer
function CloseEvent.on_answered(socket, answer)
  Apply.close_answer(socket.id, answer)
  if Answer.is_final(answer) then
    Record.remove(socket)
  else
    Record.leave(socket)
  end
end

return CloseEvent
