-- How a worker that is shutting down ends: its sockets live on after a reload and are closed at a stop; when the last one
-- has ended and every event was answered, lanes, links and threads end too. Any of them would keep the process alive.

local Threads = require "framegate.runtime.threads"
local Bus = require "framegate.cluster.bus"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local Drain = require "framegate.socket.drain"
local Gc = require "framegate.runtime.gc"
local Members = require "framegate.cluster.members"
local Mesh = require "framegate.cluster.mesh"
local Registry = require "framegate.push.registry"
local Flusher = require "framegate.push.flusher"

local Shutdown = {}

local dispatch, lanes

--- Runs when a worker is put together.
---@param worker { dispatch: Dispatch, lanes: LanePool }
function Shutdown.wire(worker)
  dispatch, lanes = worker.dispatch, worker.lanes
end

local SUCCESSOR_SECONDS = 5

-- A reload has started younger workers, with a later configuration; a stop has not.
local function close_sockets()
  if Members.is_last_configuration() then
    Bus.call_all("stop", {})
  elseif Config.DRAIN_SECONDS > 0 then
    Drain.begin(
      { code = CloseCode.SERVICE_RESTART, text = "the gateway was reloaded", cause = "reload" },
      Config.DRAIN_SECONDS
    )
  end
end

-- A request of the control API may still wait for the other workers.
local function end_links()
  while Bus.is_busy() do
    ngx.sleep(0.02)
  end
  Mesh.stop()
  Flusher.stop()
  Members.leave()
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
  if Members.has_left() or Registry.count() > 0 then
    return
  end
  if not Members.is_leaving() then
    return give_memory_back()
  end
  Members.retire()
  lanes:close()
  Threads.stop()
  ngx.timer.at(0, end_links)
end

--- Begins to watch, in a worker. A timer far in the future fires early, with `premature`, when nginx tells the worker to exit.
function Shutdown.watch()
  ngx.timer.at(365 * 86400, function()
    -- nginx 1.22 runs this outside its event loop; a thread that a semaphore wakes here would sleep until the next event.
    ngx.sleep(0.001)
    Mesh.begin_to_leave()
    Members.await_successor(SUCCESSOR_SECONDS)
    close_sockets()
    dispatch:check_idle()
  end)
end

return Shutdown
