-- GET /nodes: this node and the others of its cluster, with the state of the link to Redis.
-- The worker that holds the link knows the other nodes, so it is asked over the bus.

local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Counters = require "framegate.telemetry.counters"
local Json = require "framegate.control.json"
local Roster = require "framegate.cluster.roster"
local Status = require "framegate.control.status"
local cjson = require "cjson.safe"

local NodeList = {}

local bus, members, holders

local place = Counters.place
local RECONNECTS = place "framegate_redis_reconnects_total"
local MESSAGES, BYTES = place "framegate_redis_messages_total", place "framegate_redis_bytes_total"

--- Gives this module the instances of its worker.
---@param worker Worker
function NodeList.wire(worker)
  bus, members, holders = worker.bus, worker.members, worker.holders
end

--- What this node shows of itself to the others.
---@return NodeFacts
function NodeList.own_facts()
  return {
    name = Config.NODE_NAME,
    started = members:times().started,
    sockets = Counters.totals().open,
    version = Status.version,
  }
end

-- Why the link cannot be used. A link that is up may be without answers, or not subscribed yet.
local function reason_of(state)
  if not state.link then
    return "the worker that holds the link does not answer"
  elseif not state.link.is_up then
    return state.link.reason or "connecting"
  elseif state.link.is_away then
    return "Redis does not answer"
  end
  return "subscribing"
end

local function traffic_of(totals, places) return { ["in"] = totals[places["in"]], out = totals[places.out] } end

local function tenths(seconds) return seconds and math.floor(seconds * 10 + 0.5) / 10 end

local function link_of(state)
  local link, totals = state.link or {}, Counters.totals()
  local is_up = state.is_ready == true and not link.is_away
  return {
    is_up = is_up,
    reason = not is_up and reason_of(state) or nil,
    down = not is_up and tenths(link.away_seconds or 0) or nil,
    reconnects = totals[RECONNECTS],
    messages = traffic_of(totals, MESSAGES),
    bytes = traffic_of(totals, BYTES),
    subscriptions = link.subscriptions or 0,
    waiting_bytes = link.waiting_bytes or 0,
    kept_bytes = state.kept_bytes or 0,
    in_flight = state.in_flight or 0,
    lease_age = tenths(members:renewal_age()),
  }
end

local function count_living(nodes)
  local living = 1
  for _, node in ipairs(nodes) do
    living = living + (node.is_expired and 0 or 1)
  end
  return living
end

-- The worker that holds the link, unless it is one of these.
local function holder_besides(silent)
  local holder = holders:current()
  for _, worker in ipairs(silent) do
    if worker.name == holder then
      return nil
    end
  end
  return holder
end

--- Reads the state of the link and the other nodes from the worker that holds the link.
---@param silent Member[]? workers that do not answer: they are not asked
---@return { link: table, nodes: table[], living: integer }? cluster nil without a cluster; `link` as openapi.json describes
--- it; `nodes`: the others, of Roster:describe; `living`: nodes with a lease, this one included
function NodeList.cluster(silent)
  if not holders:is_clustered() then
    return nil
  end
  local holder = holder_besides(silent or {})
  local state = holder and bus:call(holder, "describe_nodes", {}) or {}
  local nodes = state.nodes or {}
  return { link = link_of(state), nodes = nodes, living = count_living(nodes) }
end

-- `lease` and `is_up` are written apart, because they may be null.
local function node_json(node)
  local facts = node.facts
  return Json.object({
    id = node.id,
    name = facts.name,
    is_own = node.is_own == true,
    version = facts.version,
    started = Clock.format(facts.started),
    connections = facts.sockets,
  }, { { "lease", cjson.encode(tenths(node.lease)) }, { "is_up", cjson.encode(node.is_up) } })
end

-- What is known of another node is out of date while this node's own link is down.
local function others_of(cluster)
  for _, node in ipairs(cluster.nodes) do
    if not cluster.link.is_up then
      node.is_up = nil
    end
  end
  return cluster.nodes
end

local function own_node(cluster)
  local age = cluster and cluster.link.lease_age
  local is_up
  if cluster then
    is_up = cluster.link.is_up
  end
  return {
    id = members:node(),
    facts = NodeList.own_facts(),
    is_own = true,
    lease = age and math.max(Roster.LEASE_SECONDS - age, 0),
    is_up = is_up,
  }
end

--- Writes the answer: JSON, as openapi.json describes it.
---@return string
function NodeList.read()
  local cluster = NodeList.cluster()
  local nodes = { own_node(cluster) }
  for _, node in ipairs(cluster and others_of(cluster) or {}) do
    nodes[#nodes + 1] = node
  end
  return Json.object({}, {
    { "cluster", cluster and cjson.encode(Config.CLUSTER_NAME) or "null" },
    { "link", cluster and cjson.encode(cluster.link) or "null" },
    { "nodes", Json.array(nodes, node_json) },
  })
end

return NodeList
