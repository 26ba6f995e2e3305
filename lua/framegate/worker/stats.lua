-- Statistics of this worker, for GET /status and GET /metrics.

local Config = require "framegate.config"
local Detached = require "framegate.socket.detached"
local Inbox = require "framegate.socket.inbox"
local Outbox = require "framegate.push.outbox"
local Process = require "framegate.runtime.process"

local Stats = {}

local members, mesh, registry, dispatch

---@class WorkerStats
---@field name string
---@field pid integer
---@field configuration integer
---@field is_leaving boolean whether it is shutting down
---@field connections integer
---@field away { count: integer, bytes: integer } sessions without a transport, and what waits for them
---@field max_connections integer how many it can hold
---@field memory integer bytes, as Process.memory counts them
---@field lua_memory integer bytes
---@field handlers HandlerState[]
---@field queued integer messages that wait for the answer to an earlier one of their socket
---@field outbox integer bytes that wait to be sent to clients
---@field links { linked: integer, missing: integer }

--- Gives this module the instances of its worker.
---@param worker Worker
function Stats.wire(worker)
  members, mesh, registry = worker.members, worker.mesh, worker.registry
  dispatch = worker.dispatch
end

--- Reads the current values.
---@return WorkerStats
function Stats.read()
  return {
    name = members:worker(),
    pid = ngx.worker.pid(),
    configuration = members:configuration(),
    is_leaving = members:is_leaving(),
    connections = registry:count(),
    away = Detached.state(),
    max_connections = Config.capacity.sockets,
    memory = Process.memory(),
    lua_memory = math.floor(collectgarbage("count") * 1024),
    handlers = dispatch:states(),
    queued = Inbox.total(),
    outbox = Outbox.total(),
    links = mesh:state(),
  }
end

return Stats
