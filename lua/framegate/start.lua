-- What nginx runs before the first request: once in the master, then in every worker. This file puts a worker together,
-- so it is the only one that knows all rooms.

-- Debian's package calls the vendored library nginx.websocket.*; everybody else calls it resty.websocket.*.
for _, name in ipairs { "protocol", "server" } do
  package.preload["resty.websocket." .. name] = function() return require("nginx.websocket." .. name) end
end

local Config = require "framegate.config"

-- ngx_lua has no number for HTTP/1.2 and above, which are 1.1 to a recipient that knows no more (RFC 9110 section 2.5). The
-- vendored library keeps this function when it is loaded.
local http_version = ngx.req.http_version
rawset(ngx.req, "http_version", function() return http_version() or 1.1 end)

local Start = {}

-- With what they require in turn these are all modules.
local MODULES = {
  "runtime.gc",
  "runtime.threads",
  "telemetry.counters",
  "cluster.members",
  "cluster.bus",
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
  modules["cluster.members"].init()
end

--- Runs in each worker. The order matters: who starts uses what was started before.
function Start.worker()
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
