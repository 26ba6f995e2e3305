-- Sockets whose worker was killed: another worker sends the close events that they are owed.

local Apply = require "framegate.socket.apply"
local CloseCode = require "framegate.protocol.close_code"
local Counters = require "framegate.telemetry.counters"
local Event = require "framegate.dispatch.event"
local Lifecycle = require "framegate.telemetry.lifecycle"
local Log = require "framegate.runtime.log"
local Record = require "framegate.socket.record"

local Orphans = {}

local dispatch, members

--- Gives this module the instances of its worker.
---@param worker Worker
function Orphans.wire(worker)
  dispatch, members = worker.dispatch, worker.members
end

local WORKERS_KILLED = Counters.place "framegate_workers_killed_total"
local SCAN_SECONDS = 10
local REASON = "the worker that held the socket was killed"

local function on_close_answered(orphan, _, answer)
  Apply.close_answer(orphan.id, answer)
  Record.remove(orphan)
end

local function send_close_event(orphan)
  orphan.close_reason, orphan.answered = REASON, on_close_answered
  Lifecycle.killed(orphan)
  dispatch:submit(Event.close(orphan, {
    code = CloseCode.ABNORMAL,
    reason = REASON,
    seconds = ngx.now() - orphan.opened,
  }))
end

local function recover(name)
  Counters.count(WORKERS_KILLED)
  local orphans = Record.of_worker(members:node() .. name)
  for _, orphan in ipairs(orphans) do
    send_close_event(orphan)
  end
  Log.warn(nil, "a worker was killed; close events of its ", #orphans, " sockets are on their way")
end

--- Looks for workers that were killed, and sends the close events of their sockets.
function Orphans.scan()
  for _, name in ipairs(members:claim_dead()) do
    recover(name)
  end
end

--- Scans now, for the worker in whose place this one was started, and then every 10 s.
function Orphans.start()
  local function scan(premature)
    if not premature then
      Orphans.scan()
    end
  end
  ngx.timer.at(0, scan)
  ngx.timer.every(SCAN_SECONDS, scan)
end

return Orphans
