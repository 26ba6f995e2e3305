-- What nginx runs before the first request: once in the master, then in every worker. This file puts a worker together,
-- so it is the only one that knows all rooms.

-- Debian's package calls the vendored library nginx.websocket.*; everybody else calls it resty.websocket.*.
for _, name in ipairs { "protocol", "server" } do
  package.preload["resty.websocket." .. name] = function() return require("nginx.websocket." .. name) end
end

local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"

local Start = {}

-- With what they require in turn these are all modules.
local MODULES = {
  "runtime.gc",
  "runtime.threads",
  "telemetry.counters",
  "cluster.members",
  "cluster.bus",
  "dispatch.event_queue",
  "dispatch.lane_pool",
  "dispatch.lane",
  "dispatch.dispatch",
  "dispatch.upstream",
  "push.flusher",
  "socket.orphans",
  "public.accept",
  "public.refusal",
  "public.site",
  "control.server",
  "worker.operations",
  "worker.shutdown",
}

-- Modules that work with the instances of this worker.
local WIRED = {
  "dispatch.upstream",
  "socket.connection",
  "socket.drain",
  "socket.orphans",
  "worker.shutdown",
  "worker.stats",
}

local modules = {}

--- Runs in the master. It loads every module: a mistake in any file is found by nginx/check.conf, and by a reload, which
--- then changes nothing; and a worker that is shutting down never loads code from a newer release.
function Start.master()
  local run = ngx.config.prefix():gsub("/$", "")
  Config.run = run
  Config.load(run)
  require("framegate.runtime.log").init()
  for _, list in ipairs { MODULES, WIRED } do
    for _, name in ipairs(list) do
      modules[name] = require("framegate." .. name)
    end
  end
  modules["telemetry.counters"].init()
  modules["cluster.members"].init()
end

---@class Worker what one worker process is made of
---@field queue EventQueue
---@field lanes LanePool
---@field dispatch Dispatch
---@field handlers Upstream
---@field site Upstream

-- Lanes report to dispatch, and dispatch takes lanes: the functions between them look it up when they are called.
local function lane_options(worker)
  return {
    on_answer = function(event, answer) worker.dispatch:answered(event, answer) end,
    on_unbatch = function(event) worker.dispatch:unbatch(event) end,
    on_free = function(lane) worker.dispatch:free(lane) end,
    on_retired = function(lane) worker.dispatch:retire(lane) end,
    members_version = modules["cluster.members"].version,
    is_direct = function() return worker.lanes.is_direct end,
    next_address = function() return worker.handlers:next() end,
  }
end

local function add_dispatch(worker)
  local options = lane_options(worker)
  worker.queue = modules["dispatch.event_queue"].new { now = Clock.monotonic }
  worker.lanes = modules["dispatch.lane_pool"].new {
    capacity = Config.capacity.lanes,
    open_lane = function() return modules["dispatch.lane"].new(options):start() end,
    now = Clock.monotonic,
  }
  worker.dispatch = modules["dispatch.dispatch"].new {
    lanes = worker.lanes,
    queue = worker.queue,
    on_idle = modules["worker.shutdown"].on_idle,
    is_leaving = modules["cluster.members"].is_leaving,
    config = Config,
  }
end

local function add_upstreams(worker)
  local look_up = require("framegate.dispatch.resolver").look_up
  local new = modules["dispatch.upstream"].new
  worker.handlers = new { urls = Config.HANDLER_URL, look_up = look_up, now = Clock.monotonic }
  worker.site = new { urls = { Config.SITE_URL }, look_up = look_up, now = Clock.monotonic }
end

local function put_together()
  local worker = {}
  add_upstreams(worker)
  add_dispatch(worker)
  for _, name in ipairs(WIRED) do
    modules[name].wire(worker)
  end
end

--- Runs in each worker. The order matters: who starts uses what was started before.
function Start.worker()
  put_together()
  modules["runtime.gc"].start()
  modules["runtime.threads"].start()
  modules["push.flusher"].start()
  modules["telemetry.counters"].claim()
  modules["cluster.members"].join()
  modules["socket.orphans"].start()
  modules["dispatch.upstream"].start()
  modules["cluster.bus"].start(modules["worker.operations"])
  modules["worker.shutdown"].watch()
end

return Start
