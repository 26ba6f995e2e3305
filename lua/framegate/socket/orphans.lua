-- Sockets whose worker was killed. Another worker sends their close events.

local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local CloseEvent = require "framegate.socket.close_event"
local Counters = require "framegate.telemetry.counters"
local Lifecycle = require "framegate.telemetry.lifecycle"
local Log = require "framegate.runtime.log"
local Options = require "framegate.socket.options"
local Record = require "framegate.socket.record"

local CLOSING =
  { code = CloseCode.ABNORMAL, reason = "the worker that held the socket was killed", cause = "worker_killed" }

---@class Orphan the part of a connection that its close event needs
---@field id string
---@field opened_at number by Clock.monotonic
---@field state string? percent-encoded
---@field path string
---@field handshake string
---@field closing Closing
---@field options Options
local Orphan = { closing = CLOSING, options = Options.NONE }
Orphan.__index = Orphan

--- Accepts the result of the close event from dispatch.
---@param answer Answer
function Orphan:answered(_, answer) CloseEvent.on_answered(self, answer) end

local Orphans = {}

local WORKERS_KILLED = Counters.place "framegate_workers_killed_total"
local SCAN_SECONDS = 10

local members

--- Gives this module the instances of its worker.
---@param worker Worker
function Orphans.wire(worker) members = worker.members end

local function recover(name)
  Counters.count(WORKERS_KILLED)
  local records = Record.of_worker(members:node() .. name)
  for _, record in ipairs(records) do
    local orphan = setmetatable(record, Orphan)
    Lifecycle.killed(orphan)
    CloseEvent.send(orphan, Clock.monotonic())
  end
  Log.warn(nil, "a worker was killed; close events of its ", #records, " sockets are on their way")
end

--- Finds workers that were killed and sends the close events of their sockets.
function Orphans.scan()
  for _, name in ipairs(members:claim_dead()) do
    recover(name)
  end
end

--- Scans now, because this worker may replace one that was killed, and then every 10 s.
function Orphans.start()
  local scan = Log.caught("the scan for orphans", function(premature)
    if not premature then
      Orphans.scan()
    end
  end)
  ngx.timer.at(0, scan)
  ngx.timer.every(SCAN_SECONDS, scan)
end

return Orphans
