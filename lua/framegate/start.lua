-- The start of the gateway in nginx: once in the master, then in every worker.
-- assembly.lua makes the parts of a worker.

local Assembly = require "framegate.assembly"
local Config = require "framegate.config"

-- ngx_lua gives nil for HTTP/1.2 and above. A recipient that knows only 1.1 treats them as 1.1 (RFC 9110 section 2.5).
-- The vendored library captures this function when it is loaded.
local http_version = ngx.req.http_version
rawset(ngx.req, "http_version", function() return http_version() or 1.1 end)

local Start = {}

-- Modules whose `new` or `start` is called below. Together, both lists and the modules they require are all modules.
local MODULES = {
  "runtime.direct_io",
  "runtime.gc",
  "runtime.master_memory",
  "runtime.process",
  "runtime.threads",
  "telemetry.counters",
  "telemetry.tracer",
  "cluster.bus",
  "cluster.groups",
  "cluster.holders",
  "cluster.link_holder",
  "cluster.members",
  "cluster.mesh",
  "cluster.nodes",
  "cluster.seen",
  "cluster.shared_records",
  "control.aws_access",
  "dispatch.answer_cache",
  "dispatch.grip_signature",
  "dispatch.handlers",
  "dispatch.peers",
  "dispatch.resolver",
  "dispatch.signer",
  "dispatch.span_exporter",
  "push.compression",
  "push.flusher",
  "push.origins",
  "push.push",
  "push.registry",
  "push.traced_push",
  "public.interim",
  "public.refusal",
  "public.site",
  "socket.carriers",
  "socket.record",
  "worker.histories",
  "worker.operations",
}

local worker = {} -- gets its instances from Assembly
local modules = {}

--- Runs in the master, and loads every module. So nginx/check.conf finds an error in any file.
--- A reload finds it too, and then changes nothing. And a worker that is shutting down never loads code of a newer
--- release.
function Start.master()
  Config.run = (ngx.config.prefix():gsub("/$", ""))
  Config.load(Config.run)
  require("framegate.runtime.log").init()
  for _, list in ipairs { MODULES, Assembly.WIRED } do
    for _, name in ipairs(list) do
      modules[name] = require("framegate." .. name)
    end
  end
  modules["telemetry.counters"].init()
  modules["push.compression"].start()
  modules["runtime.direct_io"].start()
  modules["dispatch.signer"].new(Config.HANDLER_SECRET) -- fails here, and not in each worker, if OpenSSL is missing
  modules["control.aws_access"].init(Config)
  modules["dispatch.grip_signature"].check()
  worker.members = modules["cluster.members"].new {
    dict = ngx.shared.gateway,
    configurations = modules["runtime.master_memory"].number "configurations",
    pid = ngx.worker.pid,
    is_dead = modules["runtime.process"].is_dead,
  }
  worker.members:init()
  if worker.members:configuration() == 1 then
    modules["socket.parking"].expect(worker.members:node())
  end
  worker.history = modules["worker.histories"].init()
end

--- Runs in each worker. The order matters: each module uses those that started before it.
function Start.worker()
  modules["runtime.gc"].start()
  modules["runtime.threads"].start()
  modules["telemetry.counters"].claim()
  worker.members:join()
  Assembly.assemble(worker, modules)
  worker.flusher:start()
  modules["socket.record"].start(worker.members:node() .. worker.members:worker())
  modules["socket.parking"].start()
  modules["socket.orphans"].start()
  modules["dispatch.upstream"].start()
  worker.bus:start()
  worker.link_holder:start()
  modules["worker.timers"].start()
  modules["worker.histories"].start(worker)
  modules["worker.shutdown"].watch()
end

return Start
