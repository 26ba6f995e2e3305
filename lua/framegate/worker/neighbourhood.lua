-- This node among the others: makes the link to Redis for the worker that holds it, and knows what this node shows of itself.

local Channels = require "framegate.cluster.channels"
local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Counters = require "framegate.telemetry.counters"
local Log = require "framegate.runtime.log"
local NodeLink = require "framegate.cluster.node_link"
local RedisLink = require "framegate.cluster.redis_link"
local Resolver = require "framegate.dispatch.resolver"
local Seen = require "framegate.cluster.seen"
local Status = require "framegate.control.status"

local Neighbourhood = {}

local members, bus

--- Gives this module the instances of its worker.
---@param worker Worker
function Neighbourhood.wire(worker)
  members, bus = worker.members, worker.bus
end

local function facts()
  return {
    name = Config.NODE_NAME,
    started = members:times().started,
    sockets = Counters.totals().open,
    version = Status.version,
  }
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

local LOST = Counters.place "framegate_publications_lost_total"

--- Counts a push that nobody waited for and that did not reach every node.
function Neighbourhood.on_lost()
  Counters.count(LOST)
  Log.limited(Log.warn, "lost", nil, "a message published by an answer did not reach every node of the cluster")
end

--- Makes the link to Redis, for LinkHolder.
---@param on_ready fun()
---@return NodeLink
function Neighbourhood.new_link(on_ready)
  return NodeLink.new {
    own = members:node(),
    channels = Channels.new(Config.CLUSTER_NAME),
    bus = bus,
    seen = Seen.new(ngx.shared.seen),
    now = Clock.monotonic,
    max_bytes = Config.CLUSTER_BUFFER,
    new_link = new_redis_link,
    facts = facts,
    on_ready = on_ready,
    on_renewed = function(at) members:set_renewed(at) end,
    on_buried = function() end,
  }
end

return Neighbourhood
