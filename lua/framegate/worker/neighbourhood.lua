-- This node among the others: makes the link to Redis for the worker that holds it, and knows what this node shows of itself.

local Channels = require "framegate.cluster.channels"
local Clock = require "framegate.runtime.clock"
local ClusterMetrics = require "framegate.telemetry.cluster_metrics"
local Config = require "framegate.config"
local Log = require "framegate.runtime.log"
local NodeList = require "framegate.control.node_list"
local NodeLink = require "framegate.cluster.node_link"
local Orphan = require "framegate.socket.orphan"
local Orphans = require "framegate.socket.orphans"
local Places = require "framegate.session.places"
local Record = require "framegate.socket.record"
local RedisLink = require "framegate.cluster.redis_link"
local Resolver = require "framegate.dispatch.resolver"

local Neighbourhood = {}

local members, holders, bus, link_holder, seen

--- Gives this module the instances of its worker.
---@param worker Worker
function Neighbourhood.wire(worker)
  members, holders, bus = worker.members, worker.holders, worker.bus
  link_holder, seen = worker.link_holder, worker.seen
end

local function workers()
  local names = { members:worker() }
  for _, other in ipairs(members:others()) do
    names[#names + 1] = members:is_alive(other) and other.name or nil
  end
  return names
end

local function new_redis_link(events)
  return RedisLink.new {
    options = Config.REDIS_URL,
    prefix = Config.CLUSTER_NAME,
    look_up = Resolver.look_up,
    on_push = events.on_push,
    on_up = events.on_up,
    on_down = events.on_down,
  }
end

--- Counts a push that nobody waited for and that did not reach every node.
function Neighbourhood.on_lost()
  ClusterMetrics.lost()
  Log.limited(Log.warn, "lost", nil, "a message published by an answer did not reach every node of the cluster")
end

-- This node was buried. Every worker ends its sockets, and the link begins anew.
local function on_buried()
  local former = members:node()
  members:begin_anew()
  Log.warn(
    nil,
    "the other nodes have buried this one (",
    former,
    "): its sockets are closed, and it is now ",
    members:node()
  )
  link_holder:begin_anew()
  bus:tell_all("end_life", {}, "")
end

local function on_burial(node)
  ClusterMetrics.buried()
  Log.warn(nil, "the node ", node, " has died: close events of its sockets are on their way")
end

-- Histories begin anew in another Redis, because it may lack what the former one had.
local function note_redis()
  local shared, run_id = ngx.shared.gateway, link_holder.link.link.run_id
  local former = shared:get "run_id of Redis"
  shared:set("run_id of Redis", run_id)
  if former and former ~= run_id and Config.HISTORY[1] then
    Log.warn(
      nil,
      "this is another Redis than before, or it was started again: earlier positions in kept topics are not good any more"
    )
  end
end

local function ignore() end

-- Another worker may hold the link when the close event has its answer. It must not send the event again.
local function remove_elsewhere(node, id)
  local holder = holders:current()
  if holder and not holders:is_own() then
    bus:ask(holder, { op = "remove_record", args = { node = node, id = id }, payload = "" }, ignore)
  end
end

-- Queues the close event of a dead node's socket. Its record is in Redis.
local function add(node, socket)
  local died = ngx.now() - (Clock.monotonic() - socket.died)
  local function remove()
    ClusterMetrics.close_event()
    if not socket.on_answered() then
      remove_elsewhere(node, socket.id)
    end
  end
  local journal = { remove = remove, close = function() end, is_in_redis = true }
  Orphans.add(socket.id, socket.text, { journal = journal, died = died })
end

local function is_own(id) return Places.of(id) == members:node() end

--- Makes the link to Redis, for LinkHolder.
---@param on_ready fun()
---@return NodeLink
function Neighbourhood.new_link(on_ready)
  return NodeLink.new {
    own = members:node(),
    is_holder = function() return holders:is_own() end,
    dict = ngx.shared.gateway,
    channels = Channels.new(Config.CLUSTER_NAME),
    bus = bus,
    seen = seen,
    now = Clock.monotonic,
    max_bytes = Config.CLUSTER_BUFFER,
    workers = workers,
    new_link = new_redis_link,
    facts = NodeList.own_facts,
    records = { ids = Record.ids, text_of = Record.text_of, is_own = is_own },
    waiting = Orphan.count,
    add = add,
    on_ready = function()
      on_ready()
      note_redis()
      bus:tell_all("resume_feeds", {}, "")
      Orphans.look()
    end,
    on_renewed = function(at) members:set_renewed(at) end,
    on_buried = on_buried,
    on_burial = on_burial,
    on_look = ClusterMetrics.of_link(),
  }
end

return Neighbourhood
