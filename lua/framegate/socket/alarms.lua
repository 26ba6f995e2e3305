-- The alarms of this worker's sockets: after the time that an answer named, the socket gets an event.
-- All wait in one heap. While there are any, one thread waits for the earliest, so alarms far away cost no processor time.

local Clock = require "framegate.runtime.clock"
local Heap = require "framegate.runtime.heap"
local Inbox = require "framegate.socket.inbox"
local Log = require "framegate.runtime.log"
local Task = require "framegate.runtime.task"
local semaphore = require "ngx.semaphore"

---@class Alarm: HeapItem
---@field at number when it is due, by Clock.monotonic
---@field connection Connection
---@field is_over boolean? whether it was replaced or taken away

local Alarms = {}

local AGAIN_SECONDS = 5 -- after an alarm event that no handler has answered
local LONGEST_SECONDS = 3600
local SHORTEST_SECONDS = 0.001 -- nginx's timers count in milliseconds
local MANY = 500 -- after so many alarms in one turn of the event loop, others are served

local now = Clock.monotonic
local alarms = {} -- the last one of each connection
local pending = Heap.new()
local wakes_at = math.huge -- when the thread looks next
local changed = semaphore.new() -- on which it waits; its count is below 0 while it does

-- The event follows the messages that wait. A socket that is closing gets none.
local function ring(alarm)
  local connection = alarm.connection
  if connection.phase == "open" or connection.phase == "opening" then
    connection:enqueue(Inbox.add_alarm(connection.inbox, alarm))
  end
end

local function ring_due()
  local time, rung = now(), 0
  local alarm = pending:peek()
  while alarm and alarm.at <= time and rung < MANY do
    pending:remove(alarm)
    local ok, err = xpcall(ring, debug.traceback, alarm)
    if not ok then
      Log.error(alarm.connection.id, "ringing an alarm failed: ", err)
    end
    rung, alarm = rung + 1, pending:peek()
  end
end

local function run()
  ring_due()
  while pending:peek() do
    wakes_at = pending:peek().at
    changed:wait(math.min(math.max(wakes_at - now(), SHORTEST_SECONDS), LONGEST_SECONDS))
    ring_due()
  end
  wakes_at = math.huge
end

local ringing = Task.new("ringing alarms", run)

local function is_waiting() return changed:count() < 0 end

local function look_soon()
  if is_waiting() then
    changed:post()
  else
    ringing:begin()
  end
end

--- Takes away the alarm of a connection, if it has one.
---@param connection Connection
function Alarms.clear(connection)
  local alarm = alarms[connection]
  if not alarm then
    return
  end
  alarms[connection], alarm.is_over = nil, true
  if alarm.place then
    pending:remove(alarm)
  end
  if not pending:peek() and is_waiting() then
    changed:post() -- the thread ends
  end
end

--- Sets the alarm of a connection. It replaces the one before.
---@param connection Connection
---@param seconds number from now; 0 sets none
function Alarms.set(connection, seconds)
  local alarm = { at = now() + seconds, connection = connection }
  if seconds > 0 then
    pending:push(alarm)
  end
  Alarms.clear(connection)
  if seconds > 0 then
    alarms[connection] = alarm
    if alarm.at < wakes_at then
      look_soon()
    end
  end
end

--- Sets an alarm again, because no handler has answered its event.
---@param connection Connection
function Alarms.again(connection) Alarms.set(connection, AGAIN_SECONDS) end

return Alarms
