-- Describes sockets of this worker, one or a page of many, for the control API.

local Alarms = require "framegate.socket.alarms"
local Config = require "framegate.config"
local ConnectionInfo = require "framegate.telemetry.connection_info"

local Pages = {}

--- Describes a connection. In a cluster, this names the node. `alarm` is in seconds from now.
---@param worker Worker
---@param connection Connection
---@param args { has_query: boolean?, has_visit: boolean? } whether its path includes its query, and whether the client's
--- program and its last sign of life are included
---@return table
function Pages.facts(worker, connection, args)
  local facts, alarm = ConnectionInfo.of(connection, args.has_query), Alarms.left(connection)
  facts.alarm = alarm and math.ceil(alarm)
  facts.node = not worker.nodes:is_alone() and Config.NODE_NAME or nil
  if args.has_visit then
    facts.agent, facts.active = ConnectionInfo.agent(connection), ConnectionInfo.active(connection)
  end
  return facts
end

-- A connection that is just coming from another worker is listed by that one.
local function is_listed(connection, args)
  local is_coming = connection.moving and connection.moving.buffer
  return not is_coming and (args.away == nil or args.away == connection:is_detached())
end

--- Describes a page of connections, in the order of their ids.
---@param worker Worker
---@param connections fun(): any, Connection? an iterator
---@param args { after: string, limit: integer, away: boolean?, has_query: boolean? } the id after which the page begins, and how
--- many it has at most; `away`: only sessions whose clients are away, or only the others
---@return { connections: table[], count: integer } result `count`: those of all pages
function Pages.read(worker, connections, args)
  local ids, facts, count = {}, {}, 0
  for _, connection in connections do
    if is_listed(connection, args) then
      count = count + 1
      ids[#ids + 1] = connection.id > args.after and connection.id or nil
    end
  end
  table.sort(ids)
  for i = 1, math.min(#ids, args.limit) do
    facts[i] = Pages.facts(worker, worker.registry:get(ids[i]), args)
  end
  return { connections = facts, count = count }
end

return Pages
