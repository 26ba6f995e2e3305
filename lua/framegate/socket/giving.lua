-- Offers the sessions of this worker to other nodes while the gateway stops: those whose clients are away.

local Clock = require "framegate.runtime.clock"
local Task = require "framegate.runtime.task"

local Giving = {}

local STEP_SECONDS = 0.05
local LOOK_SECONDS = 1 -- between two looks at which nodes there are
local AGAIN_SECONDS = 0.5 -- before a session is offered again that was not taken
local MOST_UNDER_WAY = 64

local members, registry, nodes, carriers

local is_running = false
local under_way, turn = 0, 0
local offered = {} -- when a session was last offered, by connection
local stopping = {} -- nodes that take no sessions, as keys

--- Gives this module the instances of its worker.
---@param worker Worker
function Giving.wire(worker)
  members, registry, nodes, carriers = worker.members, worker.registry, worker.nodes, worker.carriers
end

--- Whether a session can leave this worker now.
---@param connection Connection
---@return boolean
function Giving.may_leave(connection)
  local is_open = connection.session ~= nil and connection.phase == "open"
  return is_open and connection:is_detached() and not connection.moving and not connection.is_in_flight
end

-- The nodes that may take sessions.
local function receivers()
  local list = {}
  for _, node in ipairs(carriers:others()) do
    list[#list + 1] = not stopping[node] and node or nil
  end
  return list
end

-- Offers a session to the next node.
local function offer(connection, list)
  turn = turn + 1
  local node = list[turn % #list + 1]
  under_way, offered[connection] = under_way + 1, Clock.monotonic()
  local holder = members:node() .. members:worker()
  carriers:offer(node, { id = connection.id, holder = holder }, function(is_stopping)
    under_way, stopping[node] = under_way - 1, stopping[node] or is_stopping or nil
  end)
end

local function offer_some(list)
  local due = Clock.monotonic() - AGAIN_SECONDS
  for _, connection in pairs(registry:all()) do
    if under_way >= MOST_UNDER_WAY then
      return
    elseif Giving.may_leave(connection) and (offered[connection] or 0) <= due then
      offer(connection, list)
    end
  end
end

local giving = Task.new("offering sessions to other nodes", function()
  local list, looked_at = {}, 0
  while is_running and registry:count() > 0 do
    local now = Clock.monotonic()
    if now - looked_at >= LOOK_SECONDS or stopping[list[1]] then
      list, looked_at = receivers(), now
    end
    if list[1] then
      offer_some(list)
    end
    ngx.sleep(STEP_SECONDS)
  end
end)

--- Begins to offer sessions, if there are other nodes. Does not yield.
function Giving.start()
  if not nodes:is_alone() then
    is_running = true
    giving:begin()
  end
end

--- Offers no more sessions.
function Giving.stop() is_running = false end

return Giving
