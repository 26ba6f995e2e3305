-- The sockets of this worker whose clients are away: sessions without a transport. Each ends when its time is over, or when
-- more waits for it than may. When the node has too many, or too much waits for all of them, the oldest end.
--
-- These two bounds are for clients that have left by themselves. One that the gateway has sent away, or whose socket has come
-- from another worker, another node or a file, has a minute to come back. While the gateway stops there are no bounds.

local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local Deadlines = require "framegate.runtime.deadlines"
local Lifecycle = require "framegate.telemetry.lifecycle"
local LinkedList = require "framegate.runtime.linked_list"
local Moving = require "framegate.socket.moving"
local Task = require "framegate.runtime.task"

---@class Absence : HeapItem one of these sockets
---@field at number when its time is over, by Clock.monotonic
---@field connection Connection
---@field bytes integer that were last counted for it
---@field spared table? item of `sparing`, while the bounds do not count it

local Detached = {}

local dict = ngx.shared.sessions
local absences = {} -- by connection
local oldest_first = LinkedList.new() -- without those that are spared
local all = { count = 0, bytes = 0 } -- of this worker
local bounded = { count = 0, bytes = 0 } -- those of them that are not spared
local is_stopping = false

local OVERFLOW = "more waits for its client, which is away, than may (OUTBOX_BYTES)"
local SPARED_SECONDS = 60
local MOVE_SECONDS = 1 -- before another look at a session that moves to another worker

local members
local deadlines

--- Gives this module the instances of its worker.
---@param worker Worker
function Detached.wire(worker)
  members, is_stopping = worker.members, false
end

local function expire(absence)
  local connection = absence.connection
  if connection.moving then
    absence.at = Clock.monotonic() + MOVE_SECONDS
    return deadlines:add(absence)
  end
  local reason = ("its client was away for %g s"):format(connection.session.keep)
  connection:end_with(CloseCode.ABNORMAL, reason, "lost")
  connection:finish()
end

deadlines = Deadlines.new("ending sessions", expire)

-- Publishes the share of this worker. Shares of workers that are gone do not count.
local function share()
  local name = members:worker()
  dict:set("away:" .. name, bounded.count)
  dict:set("away_bytes:" .. name, bounded.bytes)
end

local function total(key)
  local sum = dict:get(key .. members:worker()) or 0
  for _, other in ipairs(members:others()) do
    sum = sum + (dict:get(key .. other.name) or 0)
  end
  return sum
end

local function add_to(sums, by_count, by_bytes)
  sums.count, sums.bytes = sums.count + by_count, sums.bytes + by_bytes
end

local function count(absence, by_count, by_bytes)
  add_to(all, by_count, by_bytes)
  if not absence.spared then
    add_to(bounded, by_count, by_bytes)
  end
end

local function add_bytes(absence)
  local connection = absence.connection
  local now = connection.outbox.bytes + connection.session.ring.bytes
  count(absence, 0, now - absence.bytes)
  absence.bytes = now
end

local function refuse(connection, reason)
  Lifecycle.overflowed()
  connection:close(CloseCode.TRY_AGAIN_LATER, reason, "overflow")
end

-- A session that moves to another worker is counted there soon.
local function oldest()
  local absence = oldest_first.first
  while absence and absence.connection.moving do
    absence = absence.after
  end
  return absence and absence.connection
end

local function end_oldest(key, most, reason)
  local connection = oldest()
  while connection and total(key) > most do
    refuse(connection, reason)
    connection = oldest()
  end
end

-- Ends the oldest of this worker while the node has too many.
local function bound()
  share()
  if is_stopping then
    return
  end
  end_oldest("away:", Config.MAX_DETACHED, "too many clients are away (MAX_DETACHED)")
  end_oldest("away_bytes:", Config.DETACHED_BYTES, "too much waits for clients that are away (DETACHED_BYTES)")
end

local over = {} -- sessions for which more waits than OUTBOX_BYTES, as keys

-- Whoever delivers a message walks over the subscribers of a topic. A session that ends would change their list, so it ends in
-- the next turn, unless its client is back by then.
local bounding = Task.new("ending sessions for which too much waits", function()
  local list = over
  over = {}
  for connection in pairs(list) do
    if connection:is_detached() and connection.phase == "open" then
      refuse(connection, OVERFLOW)
    end
  end
  bound()
end)

local sparing = Deadlines.new("counting sessions whose clients did not come back", function(item)
  local absence = item.absence
  absence.spared = nil
  add_to(bounded, 1, absence.bytes)
  oldest_first:append(absence)
  bound()
end)

local function spare(absence)
  absence.spared = { at = Clock.monotonic() + SPARED_SECONDS, connection = absence.connection, absence = absence }
  sparing:add(absence.spared)
end

--- Counts a session that has lost its transport, and ends it when its time is over.
---@param connection Connection
---@param is_spared boolean? whether its client has not left by itself
function Detached.add(connection, is_spared)
  local session = connection.session
  local absence = { at = session.detached_at + session.keep, connection = connection, bytes = 0 }
  absences[connection] = absence
  if is_spared then
    spare(absence)
  else
    oldest_first:append(absence)
  end
  count(absence, 1, 0)
  add_bytes(absence)
  deadlines:add(absence)
  bound()
end

--- Ends the bounds: the gateway stops, and every client is away.
function Detached.stop() is_stopping = true end

--- Ends a session soon for which more waits than OUTBOX_BYTES. Does not yield.
---@param connection Connection
function Detached.overflow(connection)
  if not connection.moving or Moving.note_overflow(connection) then
    over[connection] = true
    bounding:begin()
  end
end

--- Looks at a session for which more waits than before.
---@param connection Connection
function Detached.look(connection)
  local absence = absences[connection]
  if connection.moving then
    return
  elseif connection.outbox:is_full() then
    Detached.overflow(connection)
  elseif absence then
    add_bytes(absence)
    bounding:begin()
  end
end

--- Counts a session no longer: it has a transport again, or it has ended.
---@param connection Connection
function Detached.remove(connection)
  local absence = absences[connection]
  if absence then
    absences[connection] = nil
    count(absence, -1, -absence.bytes)
    if absence.spared then
      sparing:remove(absence.spared)
    else
      oldest_first:remove(absence)
    end
    deadlines:remove(absence)
    share()
  end
end

--- The seconds that are left for a session.
---@param connection Connection
---@return number? seconds nil when it has a transport
function Detached.left(connection)
  local absence = absences[connection]
  return absence and math.max(0, absence.at - Clock.monotonic())
end

--- How many sockets of this worker have no transport, and what waits for them.
---@return { count: integer, bytes: integer }
function Detached.state() return { count = all.count, bytes = all.bytes } end

return Detached
