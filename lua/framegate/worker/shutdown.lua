-- The shutdown of a worker. After a reload its sockets stay open; at a stop they are closed.
-- When the last socket has ended and every event has its answer, lanes, links and threads end too.
-- Each of them would keep the process alive.

local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local CloseEvent = require "framegate.socket.close_event"
local Config = require "framegate.config"
local Detached = require "framegate.socket.detached"
local Drain = require "framegate.socket.drain"
local Gc = require "framegate.runtime.gc"
local Giving = require "framegate.socket.giving"
local HandOver = require "framegate.socket.hand_over"
local Histories = require "framegate.worker.histories"
local Inbox = require "framegate.socket.inbox"
local Log = require "framegate.runtime.log"
local Orphan = require "framegate.socket.orphan"
local Parking = require "framegate.socket.parking"
local Passing = require "framegate.runtime.passing"
local Process = require "framegate.runtime.process"
local Record = require "framegate.socket.record"
local Server = require "framegate.control.server"
local Threads = require "framegate.runtime.threads"
local Timers = require "framegate.worker.timers"
local semaphore = require "ngx.semaphore"

local Shutdown = {}

local STEP_SECONDS = 0.05
local POLL_SECONDS = 0.25 -- between two checks whether the gateway is stopping
local ANSWER_SECONDS = 2 -- after STOP_SECONDS, for the answers to events in flight
local CLOSED_SECONDS = 1 -- within which the mesh port is closed at a stop
local CLOSE_SECONDS = 2 -- after that, for the close events
local LINK_SECONDS = 1 -- for what other workers still need, at least

local members, mesh, bus, nodes, groups, link_holder, shared_records, registry, dispatch, flusher, spans
local stop_ends -- by Clock.monotonic
local retired -- a semaphore, posted when this worker has nothing left to do

-- Waits until a worker of a later configuration has joined. A reload starts such workers, but the first may start late.
-- If the gateway stops meanwhile, none comes and the mesh port is closed.
local function await_successor()
  while members:is_successor_due() and mesh:has_listener() do
    ngx.sleep(STEP_SECONDS)
  end
end

-- Whether this worker holds nothing any more: no socket, no event, no request of the site.
local function is_empty() return members:has_left() and Passing.count() == 0 end

-- Waits until this holds, this worker is empty, or the time is over.
local function wait(seconds, is_true)
  local deadline = Clock.monotonic() + seconds
  while not is_empty() and not is_true() and Clock.monotonic() < deadline do
    Record.beat()
    retired:wait(POLL_SECONDS)
  end
end

local function never() return false end

-- Whether nothing is left to wait for: clients that are away come back after the stop.
local function has_only_sessions() return Passing.count() == 0 and Parking.is_alone() end

-- Breaks off what is left, when the time of a stop is over.
local function break_off()
  Log.warn(nil, "the time of the stop is over: what is left is broken off")
  Record.stop()
  Process.exit()
end

local function end_of_stop() return Clock.monotonic() + Config.STOP_SECONDS + ANSWER_SECONDS + CLOSE_SECONDS end

-- Whatever the site, a queue or a slow handler still holds, a stop ends.
local function bound_stop()
  stop_ends = end_of_stop()
  Giving.start()
  wait(Config.STOP_SECONDS, has_only_sessions)
  Inbox.drop_messages()
  Parking.release()
  if nodes:is_alone() then
    Parking.keep()
  end
  Passing.end_all()
  wait(ANSWER_SECONDS, never)
  Giving.stop()
  HandOver.recall_all()
  Parking.keep()
  Drain.close_all()
  wait(CLOSE_SECONDS, never)
  Parking.keep() -- those that were sent, and no other node has taken after all
  if not is_empty() then
    break_off()
  end
end

local function stop()
  Detached.stop()
  Drain.stop()
  ngx.timer.at(0, Log.caught("the bound of the stop", bound_stop))
end

local function is_stopping() return members:is_stopping() end

-- After a reload: sockets live on, requests of the site for SITE_DRAIN.
local function await_stop()
  wait(Config.SITE_DRAIN, is_stopping)
  if not is_stopping() then
    Passing.end_all()
  end
  wait(math.huge, is_stopping)
  if is_stopping() then
    stop()
  end
end

-- A stop closes the mesh port. If it stays open, this worker alone was ended, and nginx replaces it.
-- At a stop the master and all workers close it within moments. So each worker sees the stop, also one that is empty.
local function announce_stop()
  local deadline = Clock.monotonic() + CLOSED_SECONDS
  while mesh:has_listener() do
    if is_empty() and Clock.monotonic() > deadline then
      return
    end
    ngx.sleep(STEP_SECONDS)
  end
  members:announce_stop()
end

local function close_sockets()
  if members:is_last_configuration() then
    ngx.timer.at(0, Log.caught("the announcement of a stop", announce_stop))
    return stop()
  end
  if Config.DRAIN_SECONDS > 0 then
    Drain.begin(
      { code = CloseCode.SERVICE_RESTART, text = "the gateway was reloaded", cause = "reload" },
      Config.DRAIN_SECONDS
    )
  end
  ngx.timer.at(0, Log.caught("the wait for a stop", await_stop))
end

local function needs_others()
  return shared_records:is_busy() or bus:is_busy() or Server.is_busy() or nodes:is_busy() or link_holder:is_busy()
end

-- Ends the links, when nothing needs other workers any more: no record, no call, no request of the control API. While this
-- worker has requests of the site it stays linked, so that the status shows it.
local function end_links()
  CloseEvent.stop()
  Record.stop()
  while Passing.count() > 0 do
    ngx.sleep(POLL_SECONDS)
  end
  local ends
  while needs_others() do
    local now = Clock.monotonic()
    if not ends and members:is_stopping() then
      ends = math.max(stop_ends or end_of_stop(), now + LINK_SECONDS)
    elseif ends and now > ends then
      break_off()
    end
    ngx.sleep(STEP_SECONDS)
  end
  groups:stop()
  link_holder:stop()
  bus:stop()
  flusher:stop()
  members:leave()
end

-- Frees memory after many sockets have ended. Lanes keep the memory they have used, so they end first.
-- This is called again when they have ended, and then collects the garbage.
local function free_memory()
  if Gc.is_due() and dispatch:count_lanes() > 0 then
    dispatch:stop_lanes()
  elseif Gc.is_due() then
    Gc.collect()
  end
end

--- Frees memory, or ends a worker that is shutting down. Dispatch calls this when no event is in flight and none waits.
function Shutdown.on_idle()
  if members:has_left() or registry:count() > 0 then
    return
  end
  if not members:is_leaving() then
    return free_memory()
  end
  members:retire()
  retired:post()
  dispatch:close_lanes()
  Timers.stop()
  Histories.stop()
  Threads.stop()
  if spans then
    spans:stop()
  end
  ngx.timer.at(0, Log.caught("ending the links", end_links))
end

--- Gives this module the instances of its worker.
---@param worker Worker
function Shutdown.wire(worker)
  members, mesh, bus, registry = worker.members, worker.mesh, worker.bus, worker.registry
  nodes, groups, link_holder = worker.nodes, worker.groups, worker.link_holder
  shared_records = worker.shared_records
  dispatch, flusher, spans = worker.dispatch, worker.flusher, worker.spans
  retired = semaphore.new()
end

--- Starts to wait for the shutdown of this worker.
--- A timer far in the future fires early, with `premature`, when nginx shuts the worker down.
function Shutdown.watch()
  local function begin()
    -- nginx 1.22 runs this outside its event loop. A thread that a semaphore wakes here would sleep until the next
    -- event.
    ngx.sleep(0.001)
    mesh:begin_to_leave()
    Orphan.stop()
    await_successor()
    close_sockets()
    dispatch:check_idle()
  end
  ngx.timer.at(365 * 86400, Log.caught("the shutdown", begin))
end

return Shutdown
