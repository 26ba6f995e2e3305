-- What this worker tells of itself.

local Members = require "framegate.cluster.members"
local Inbox = require "framegate.socket.inbox"
local Mesh = require "framegate.cluster.mesh"
local Outbox = require "framegate.push.outbox"
local Process = require "framegate.runtime.process"
local Registry = require "framegate.push.registry"

local Stats = {}

local lanes, queue

--- Runs when a worker is put together.
---@param worker { lanes: LanePool, queue: EventQueue }
function Stats.wire(worker)
  lanes, queue = worker.lanes, worker.queue
end

---@class WorkerStats
---@field name string
---@field pid integer
---@field configuration integer
---@field is_leaving boolean whether it was told to go
---@field connections integer
---@field memory integer bytes, as the system counts them
---@field lua_memory integer bytes
---@field lanes { open: integer, busy: integer }
---@field for_lane integer events that wait for a lane
---@field for_retry integer events that wait to be sent again
---@field queued integer messages that wait for the answer to the one before
---@field outbox integer bytes that wait to be sent to clients
---@field links { linked: integer, missing: integer }

---@return WorkerStats
function Stats.facts()
  return {
    name = Members.worker(),
    pid = ngx.worker.pid(),
    configuration = Members.configuration(),
    is_leaving = Members.is_leaving(),
    connections = Registry.count(),
    memory = Process.memory(),
    lua_memory = math.floor(collectgarbage("count") * 1024),
    lanes = lanes:state(),
    for_lane = queue:for_lane(),
    for_retry = queue:count() - queue:for_lane(),
    queued = Inbox.total(),
    outbox = Outbox.total(),
    links = Mesh.state(),
  }
end

return Stats
