-- How workers reach each other to move a socket: over the bus within this node, over Redis between nodes.

local Places = require "framegate.session.places"

local Carriers = {}
Carriers.__index = Carriers

---@class Carriers
---@field private own_node string
---@field private bus Bus

---@param parts { members: Members, bus: Bus }
---@return Carriers
function Carriers.new(parts) return setmetatable({ members = parts.members, bus = parts.bus }, Carriers) end

--- Runs an operation in the worker that holds a socket, and waits for its result. Yields.
---@param holder string names of node and worker
---@param op string
---@param args table
---@return table? result nil when it did not answer
function Carriers:ask(holder, op, args)
  local _, worker = Places.split(holder)
  return (self.bus:call(worker, op, args))
end

--- Sends a packed socket to another worker. Does not yield.
---@param holder string names of node and worker
---@param args { id: string }
---@param parcel string
---@param on_result fun(result: table?) nil when it did not answer
function Carriers:send(holder, args, parcel, on_result)
  local _, worker = Places.split(holder)
  self.bus:ask(worker, { op = "take_socket", args = args, payload = parcel }, on_result)
end

return Carriers
