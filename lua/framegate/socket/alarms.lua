-- The alarms of this worker's sockets: after the time that an answer named, the socket gets an event.

local Clock = require "framegate.runtime.clock"
local Deadlines = require "framegate.runtime.deadlines"
local Inbox = require "framegate.socket.inbox"

---@class Alarm: HeapItem
---@field at number when it is due, by Clock.monotonic
---@field connection Connection
---@field is_over boolean? whether it was replaced or taken away

local Alarms = {}

local AGAIN_SECONDS = 5 -- after an alarm event that no handler has answered

local alarms = {} -- the last one of each connection

-- The event follows the messages that wait. A socket that is closing gets none.
local function ring(alarm)
  local connection = alarm.connection
  if connection.phase == "open" or connection.phase == "opening" then
    connection:enqueue(Inbox.add_own(connection.inbox, { kind = "alarm", alarm = alarm }))
  end
end

local deadlines = Deadlines.new("ringing alarms", ring)

--- Takes away the alarm of a connection, if it has one.
---@param connection Connection
function Alarms.clear(connection)
  local alarm = alarms[connection]
  if alarm then
    alarms[connection], alarm.is_over = nil, true
    deadlines:remove(alarm)
  end
end

--- Sets the alarm of a connection. It replaces the one before.
---@param connection Connection
---@param seconds number from now; 0 sets none
function Alarms.set(connection, seconds)
  local former = alarms[connection]
  if seconds > 0 then
    local alarm = { at = Clock.monotonic() + seconds, connection = connection }
    deadlines:add(alarm)
    alarms[connection] = alarm
  end
  if former then
    former.is_over = true
    deadlines:remove(former)
  end
  if seconds <= 0 then
    alarms[connection] = nil
  end
end

--- Notes an alarm of a connection that is due: its event waits in the inbox. A new alarm replaces it.
---@param connection Connection
---@return Alarm
function Alarms.due(connection)
  local alarm = { at = Clock.monotonic(), connection = connection }
  alarms[connection] = alarm
  return alarm
end

--- Sets an alarm again, because no handler has answered its event.
---@param connection Connection
function Alarms.again(connection) Alarms.set(connection, AGAIN_SECONDS) end

--- When the alarm of a connection is due.
---@param connection Connection
---@return number? seconds from now, at least 0; nil when it has none, or when its event is on its way
function Alarms.left(connection)
  local alarm = alarms[connection]
  return alarm and alarm.place and math.max(0, alarm.at - Clock.monotonic()) or nil
end

return Alarms
