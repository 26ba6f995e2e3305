-- The close event, the last event of a socket.
-- The worker that held the socket sends it (connection.lua). If that worker is gone, another one does (orphan.lua).

local Answer = require "framegate.dispatch.answer"
local Apply = require "framegate.socket.apply"
local Event = require "framegate.dispatch.event"
local Record = require "framegate.socket.record"
local Task = require "framegate.runtime.task"

local CloseEvent = {}

local UNCERTAIN_SECONDS = 6 -- without a confirmed renewal of the lease, this node may have been buried
local STEP_SECONDS = 0.25

local dispatch, members, holders
local held = {} -- close events that wait until it is certain that this node was not buried

--- Gives this module the instances of its worker.
---@param worker Worker
function CloseEvent.wire(worker)
  dispatch, members, holders = worker.dispatch, worker.members, worker.holders
end

-- Whether other nodes may already have sent the close events of this one.
local function may_be_buried()
  local age = holders:is_clustered() and members:renewal_age()
  return age ~= nil and age ~= false and age > UNCERTAIN_SECONDS
end

local function send(socket, seconds)
  local closing = socket.closing
  dispatch:submit(Event.close(socket, { code = closing.code, reason = closing.reason, seconds = seconds }))
end

-- A socket of a life that was buried is owed nothing: the others have sent its close event.
local function send_held()
  while held[1] and may_be_buried() do
    ngx.sleep(STEP_SECONDS)
  end
  local due = held
  held = {}
  for _, item in ipairs(due) do
    CloseEvent.send(item.socket, item.seconds)
  end
end

local holding = Task.new("sending the close events that were held back", send_held)

--- Sends the close event.
---@param socket Connection|Orphan whose `closing` holds why it ended
---@param seconds number how long it was open
function CloseEvent.send(socket, seconds)
  if may_be_buried() then
    held[#held + 1] = { socket = socket, seconds = seconds }
    return holding:begin()
  elseif members:is_former(socket.id) then
    return Record.remove(socket)
  end
  send(socket, seconds)
end

--- Applies the answer's effects on other sockets. The record goes when nothing more is owed.
---@param socket Connection|Orphan
---@param answer Answer
function CloseEvent.on_answered(socket, answer)
  Apply.publications(socket.id, answer, "close")
  if Answer.is_final(answer) then
    Record.remove(socket)
  else
    Record.leave(socket)
  end
end

return CloseEvent
