-- A new life of this node in its cluster. The other nodes had no sign of it for longer than its lease, and have sent the close
-- events of the sockets that they knew. So it closes all (close_event.lua), and goes on under a new id.

local Drain = require "framegate.socket.drain"
local Record = require "framegate.socket.record"

local NewLife = {}

local members, registry

--- Gives this module the instances of its worker.
---@param worker Worker
function NewLife.wire(worker)
  members, registry = worker.members, worker.registry
end

--- Ends this worker's sockets of the former life. Its journal has the new id from now on.
function NewLife.begin()
  Record.restart(members:node() .. members:worker())
  local reason = Drain.BURIED
  for _, connection in pairs(registry:all()) do
    if members:former_renewal(connection.home or connection.id) then
      connection:close(reason.code, reason.text, reason.cause)
    end
  end
end

return NewLife
