-- How many sockets each address has: those that are opening, those that are open, and those whose clients are away.
-- nginx counts requests (`limit_conn`), and a session outlives them. A client that comes back has one request more for a while.
-- Each worker writes what it holds, and what living workers hold counts. So nothing is left of a killed worker.

local Address = require "framegate.protocol.address"
local Config = require "framegate.config"
local ConnectionInfo = require "framegate.telemetry.connection_info"

local AddressCount = {}

local dict = ngx.shared.addresses
local counts = {} -- of this worker, by network

local members

--- Gives this module the instances of its worker.
---@param worker Worker
function AddressCount.wire(worker) members = worker.members end

local function is_on() return Config.MAX_CONNECTIONS_PER_IP > 0 end

local function network_of(connection) return Address.network(ConnectionInfo.address(connection)) end

-- When shared memory is full, the other workers do not see this count.
local function change(network, by)
  local count = (counts[network] or 0) + by
  counts[network] = count > 0 and count or nil
  if count > 0 then
    dict:safe_set(members:worker() .. network, count)
  else
    dict:delete(members:worker() .. network)
  end
end

local function total(network)
  local sum = counts[network]
  for _, other in ipairs(members:others()) do
    local count = dict:get(other.name .. network)
    if count and members:is_alive(other) then
      sum = sum + count
    end
  end
  return sum
end

--- Counts a socket of this worker, whatever the limit: it has come from another worker.
---@param connection Connection
function AddressCount.add(connection)
  if is_on() then
    change(network_of(connection), 1)
  end
end

--- Counts a socket that is about to be opened.
---@param connection Connection
---@return boolean ok false when its address has MAX_CONNECTIONS_PER_IP sockets already
function AddressCount.take(connection)
  if not is_on() then
    return true
  end
  local network = network_of(connection)
  change(network, 1)
  if total(network) <= Config.MAX_CONNECTIONS_PER_IP then
    return true
  end
  change(network, -1)
  return false
end

--- Counts a socket no longer: it was not opened, has ended, or is now in another worker.
---@param connection Connection that was counted here
function AddressCount.release(connection)
  local network = is_on() and network_of(connection)
  if counts[network] then
    change(network, -1)
  end
end

--- Forgets what a killed worker held.
---@param name string of the worker
function AddressCount.forget(name)
  for _, key in ipairs(dict:get_keys(0)) do
    if key:sub(1, #name) == name then
      dict:delete(key)
    end
  end
end

return AddressCount
