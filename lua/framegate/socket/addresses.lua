-- Counts the sockets of each address, over all workers of this node. A client that is away counts, too, and a request that
-- continues a session does not: nginx's limit_conn counts requests and would have both wrong.
-- Each worker counts its own, so that the sockets of a killed worker do not count any more.

local Address = require "framegate.protocol.address"
local Config = require "framegate.config"
local ConnectionInfo = require "framegate.telemetry.connection_info"

local Addresses = {}

local dict = ngx.shared.addresses

local members

--- Gives this module the instances of its worker.
---@param worker Worker
function Addresses.wire(worker) members = worker.members end

local function network_of(connection) return Address.network(ConnectionInfo.address(connection)) end

local function total(network)
  local sum = dict:get(members:worker() .. network) or 0
  for _, other in ipairs(members:others()) do
    sum = sum + (dict:get(other.name .. network) or 0)
  end
  return sum
end

local function count(connection, by)
  local key = members:worker() .. network_of(connection)
  if dict:incr(key, by, by > 0 and 0 or nil) == 0 then
    dict:delete(key)
  end
end

local function is_limited() return Config.MAX_CONNECTIONS_PER_IP > 0 end

--- Counts a socket no longer.
---@param connection Connection
function Addresses.leave(connection)
  if is_limited() then
    count(connection, -1)
  end
end

--- Counts a socket that has come from another worker.
---@param connection Connection
function Addresses.arrive(connection)
  if is_limited() then
    count(connection, 1)
  end
end

--- Counts a new socket. Of two workers that count at the same time, at least one sees both.
---@param connection Connection
---@return boolean ok false when its address has MAX_CONNECTIONS_PER_IP already; then it does not count
function Addresses.enter(connection)
  Addresses.arrive(connection)
  if is_limited() and total(network_of(connection)) > Config.MAX_CONNECTIONS_PER_IP then
    Addresses.leave(connection)
    return false
  end
  return true
end

return Addresses
