-- What this worker tells of itself.

local Members = require "framegate.members"
local Inbox = require "framegate.inbox"
local Lanes = require "framegate.lanes"
local Mesh = require "framegate.mesh"
local Outbox = require "framegate.outbox"
local Process = require "framegate.process"
local Registry = require "framegate.registry"
local Waiting = require "framegate.waiting"

local Worker = {}

---@class WorkerFacts
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

---@return WorkerFacts
function Worker.facts()
  return {
    name = Members.worker(),
    pid = ngx.worker.pid(),
    configuration = Members.configuration(),
    is_leaving = Members.is_leaving(),
    connections = Registry.count(),
    memory = Process.memory(),
    lua_memory = math.floor(collectgarbage("count") * 1024),
    lanes = Lanes.state(),
    for_lane = Waiting.for_lane(),
    for_retry = Waiting.count() - Waiting.for_lane(),
    queued = Inbox.total(),
    outbox = Outbox.total(),
    links = Mesh.state(),
  }
end

return Worker
