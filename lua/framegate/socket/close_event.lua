-- The close event, the last event of a socket.
-- The worker that held the socket sends it (connection.lua). If that worker is gone, another one does (orphan.lua).

local Answer = require "framegate.dispatch.answer"
local Apply = require "framegate.socket.apply"
local Event = require "framegate.dispatch.event"
local Record = require "framegate.socket.record"
local Task = require "framegate.runtime.task"

local CloseEvent = {}

---@class Ended how a socket has ended, as its close event has it
---@field code integer
---@field reason string percent-encoded
---@field given_reason string? that of the client, as it came
---@field duration integer milliseconds

local UNCERTAIN_SECONDS = 6 -- without a confirmed renewal of the lease, this node may have been buried
local RENEWED_SECONDS = 4 -- a link that lasted would have renewed the lease once more within this time
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
  local ended = { code = closing.code, reason = closing.reason, cause = closing.cause, seconds = seconds }
  dispatch:submit(Event.close(socket, ended))
end

local function send_held()
  while held[1] do
    if may_be_buried() then
      ngx.sleep(STEP_SECONDS)
    else
      local due = held
      held = {}
      for _, item in ipairs(due) do
        CloseEvent.send(item.socket, item.seconds)
      end
    end
  end
end

local holding = Task.new("sending the close events that were held back", send_held)

-- The other nodes have sent the close events of a life of this node that they buried, but not of a socket that was opened
-- when this node was cut off already: they have no record of it. Close events of a node that this one buried are owed, also
-- when it was an earlier life of this one.
local function is_sent_by_others(socket)
  local is_inherited = socket.journal and socket.journal.is_in_redis
  local renewed = not is_inherited and members:former_renewal(socket.home or socket.id)
  return renewed and socket:began_at() <= renewed + RENEWED_SECONDS
end

--- Sends the close event.
---@param socket Connection|Orphan whose `closing` holds why it ended
---@param seconds number how long it was open
function CloseEvent.send(socket, seconds)
  if may_be_buried() then
    held[#held + 1] = { socket = socket, seconds = seconds }
    return holding:begin()
  elseif not is_sent_by_others(socket) then
    return send(socket, seconds)
  end
  Record.remove(socket)
  if socket.on_dropped then
    socket:on_dropped()
  end
end

--- Leaves the close events that are held back to the journal, because this worker ends: another worker or the next start
--- sends them.
function CloseEvent.stop()
  for _, item in ipairs(held) do
    Record.leave(item.socket)
  end
  held = {}
end

--- Applies the answer's effects on other sockets. The record goes when nothing more is owed.
---@param event Event
---@param answer Answer
function CloseEvent.on_answered(event, answer)
  local socket = event.connection
  Apply.publications(event, answer)
  if Answer.is_final(answer) then
    Record.remove(socket)
  else
    Record.leave(socket)
  end
end

return CloseEvent
