-- What nginx runs before the first request: once in the master, then in every worker. This file puts a worker together,
-- so it is the only one that knows all rooms.

-- Debian's package calls the vendored library nginx.websocket.*; everybody else calls it resty.websocket.*.
for _, name in ipairs { "protocol", "server" } do
  package.preload["resty.websocket." .. name] = function() return require("nginx.websocket." .. name) end
end

local Config = require "framegate.config"

local Start = {}

-- With what they require in turn these are all modules.
local MODULES = {
  "runtime.gc",
  "runtime.process",
  "runtime.threads",
  "telemetry.counters",
  "cluster.bus",
  "cluster.members",
  "cluster.mesh",
  "cluster.mesh_listener",
  "dispatch.dispatch",
  "dispatch.lane",
  "dispatch.upstream",
  "push.flusher",
  "push.push",
  "push.registry",
  "socket.apply",
  "socket.connection",
  "socket.drain",
  "socket.orphans",
  "public.accept",
  "public.admission",
  "public.refusal",
  "public.site",
  "control.server",
  "worker.operations",
  "worker.shutdown",
  "worker.stats",
}

--- What is there once in a worker. Modules get it by `wire`, and keep of it what they use.
---@class Worker
---@field members Members
---@field registry Registry
---@field mesh Mesh
---@field bus Bus
---@field push Push
local worker = {}

-- Modules of which nginx calls functions, or of which there are very many instances.
local WIRED = {
  "cluster.mesh_listener",
  "dispatch.dispatch",
  "dispatch.lane",
  "socket.apply",
  "socket.connection",
  "socket.drain",
  "socket.orphans",
  "public.accept",
  "public.admission",
  "control.server",
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
  for _, name in ipairs(MODULES) do
    modules[name] = require("framegate." .. name)
  end
  modules["telemetry.counters"].init()
  worker.members = modules["cluster.members"].new {
    dict = ngx.shared.gateway,
    pid = ngx.worker.pid,
    is_dead = modules["runtime.process"].is_dead,
  }
  worker.members:init()
end

local function put_together()
  local members = worker.members
  worker.registry = modules["push.registry"].new { max_topics = Config.MAX_TOPICS }
  worker.mesh = modules["cluster.mesh"].new { members = members, port = Config.mesh_port }
  worker.bus = modules["cluster.bus"].new {
    name = members:worker(),
    drivers = { worker.mesh },
    operations = modules["worker.operations"].new { registry = worker.registry },
  }
  worker.push = modules["push.push"].new { node = members:node(), bus = worker.bus }
  for _, name in ipairs(WIRED) do
    modules[name].wire(worker)
  end
end

--- Runs in each worker. The order matters: who starts uses what was started before.
function Start.worker()
  modules["runtime.gc"].start()
  modules["runtime.threads"].start()
  modules["push.flusher"].start()
  modules["telemetry.counters"].claim()
  worker.members:join()
  put_together()
  modules["socket.orphans"].start()
  modules["dispatch.upstream"].start()
  worker.bus:start()
  modules["worker.shutdown"].watch()
end

return Start
