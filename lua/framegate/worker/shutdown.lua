-- How a worker that is shutting down ends: its sockets live on after a reload and are closed at a stop; when the last one
-- has ended and every event was answered, lanes, links and threads end too. Any of them would keep the process alive.

local Threads = require "framegate.runtime.threads"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local Drain = require "framegate.socket.drain"
local Gc = require "framegate.runtime.gc"
local Log = require "framegate.runtime.log"
local Server = require "framegate.control.server"
local semaphore = require "ngx.semaphore"

local Shutdown = {}

local STEP_SECONDS = 0.05
local LOOK_SECONDS = 0.25 -- between two looks whether the gateway stops

local members, mesh, bus, registry, dispatch, lanes, flusher
local retired -- has a resource when this worker has nothing left to do

-- A reload starts workers with a later configuration, and one of them may take its time. When a configuration was loaded
-- and could not be used, none comes; a stop is told from that by nobody listening any more.
local function await_successor()
  while members:is_successor_due() and mesh:has_listener() do
    ngx.sleep(STEP_SECONDS)
  end
end

local function await_stop()
  while not members:has_left() and not members:is_stopping() do
    retired:wait(LOOK_SECONDS)
  end
  if members:is_stopping() then
    Drain.stop()
  end
end

local function close_sockets()
  if members:is_last_configuration() then
    members:announce_stop()
    return Drain.stop()
  end
  if Config.DRAIN_SECONDS > 0 then
    Drain.begin(
      { code = CloseCode.SERVICE_RESTART, text = "the gateway was reloaded", cause = "reload" },
      Config.DRAIN_SECONDS
    )
  end
  ngx.timer.at(0, Log.caught("the wait for a stop", await_stop))
end

-- A request of the control API may still wait for the other workers.
local function end_links()
  while bus:is_busy() or Server.is_busy() do
    ngx.sleep(0.02)
  end
  bus:stop()
  flusher:stop()
  members:leave()
end

-- A lane keeps the memory it has used, so after many sockets the lanes end first; then the garbage is collected.
local function give_memory_back()
  if Gc.is_due() and lanes:state().open > 0 then
    lanes:stop()
  elseif Gc.is_due() then
    Gc.collect()
  end
end

--- No event is in flight and none waits: dispatch calls this.
function Shutdown.on_idle()
  if members:has_left() or registry:count() > 0 then
    return
  end
  if not members:is_leaving() then
    return give_memory_back()
  end
  members:retire()
  retired:post()
  lanes:close()
  Threads.stop()
  ngx.timer.at(0, Log.caught("ending the links", end_links))
end

--- Gives this module the instances of its worker.
---@param worker Worker
function Shutdown.wire(worker)
  members, mesh, bus, registry = worker.members, worker.mesh, worker.bus, worker.registry
  dispatch, lanes, flusher = worker.dispatch, worker.lanes, worker.flusher
  retired = semaphore.new()
end

--- Begins to watch, in a worker. A timer far in the future fires early, with `premature`, when nginx tells the worker to exit.
function Shutdown.watch()
  local function begin()
    -- nginx 1.22 runs this outside its event loop; a thread that a semaphore wakes here would sleep until the next event.
    ngx.sleep(0.001)
    mesh:begin_to_leave()
    await_successor()
    close_sockets()
    dispatch:check_idle()
  end
  ngx.timer.at(365 * 86400, Log.caught("the shutdown", begin))
end

return Shutdown
