-- Looks after the sessions of this worker that have a transport. It asks their clients what they have received, reports to
-- them what has arrived here, and gives them a sign of life.

local Clock = require "framegate.runtime.clock"
local LinkedList = require "framegate.runtime.linked_list"
local Task = require "framegate.runtime.task"

local Keeper = {}

local STEP_SECONDS = 1
local LIFE_SECONDS = 20 -- a script sees neither pings nor pongs, so a text is its sign of life
local REFRESH_SECONDS = 1200 -- half the time for which a key is known

---@class Care one session
---@field connection Connection
---@field at number when its client last got a report, by Clock.monotonic
---@field refreshed_at number when its keys were last refreshed
---@field confirmed integer what its client had confirmed at the last sign of life

local cares = {} -- by connection
local longest_first = LinkedList.new() -- since the last report
local due = {} -- connections with something unacknowledged, as keys

local function report(care, now)
  local connection = care.connection
  if now - care.refreshed_at >= REFRESH_SECONDS then
    connection.session:refresh()
    care.refreshed_at = now
  end
  connection.outbox:push(connection.session:report())
  longest_first:remove(care)
  longest_first:append(care)
  care.at = now
end

-- What still waits in the outbox is sent later, and then the client is asked about it.
local function serve(care, now)
  local connection = care.connection
  local session = connection.session
  if session.ring:is_unasked() then
    connection.outbox:push(session.ring:ping())
  end
  if connection.outbox.count > 0 then
    Keeper.note(connection)
  end
  if session:is_report_due() then
    report(care, now)
  end
end

local function serve_due(now)
  local connections = due
  due = {}
  for connection in pairs(connections) do
    local care = cares[connection]
    if care then
      serve(care, now)
    end
  end
end

-- Lets go of what was confirmed long ago. No pong comes that would do it.
local function let_go(care)
  local ring = care.connection.session.ring
  ring:acknowledge(care.confirmed)
  care.confirmed = ring.confirmed
end

local function serve_silent(now)
  local care = longest_first.first
  while care and now - care.at >= LIFE_SECONDS do
    let_go(care)
    report(care, now)
    care = longest_first.first
  end
end

local function run()
  while longest_first.first do
    ngx.sleep(STEP_SECONDS)
    local now = Clock.monotonic()
    serve_due(now)
    serve_silent(now)
  end
end

local keeping = Task.new("looking after sessions", run)

--- Begins to look after a session that has a transport.
---@param connection Connection
function Keeper.add(connection)
  local now = Clock.monotonic()
  local care = { connection = connection, at = now, refreshed_at = now, confirmed = 0 }
  cares[connection] = care
  longest_first:append(care)
  keeping:begin()
end

--- Looks at a session soon, if it has a transport: something was sent, or has arrived.
---@param connection Connection
function Keeper.note(connection)
  if cares[connection] then
    due[connection] = true
  end
end

--- Reports to the client now what has arrived.
---@param connection Connection
function Keeper.report(connection)
  local care = cares[connection]
  if care then
    report(care, Clock.monotonic())
  end
end

--- Looks no longer after a session.
---@param connection Connection
function Keeper.remove(connection)
  local care = cares[connection]
  if care then
    cares[connection], due[connection] = nil, nil
    longest_first:remove(care)
  end
end

return Keeper
