-- Counts what passes between this node and the others.

local Counters = require "framegate.telemetry.counters"

local ClusterMetrics = {}

local count = Counters.count

local LOST = Counters.place "framegate_publications_lost_total"
local PUSHED = Counters.place "framegate_cluster_push_duration_seconds"
local BURIED = Counters.place "framegate_nodes_buried_total"
local CLOSE_EVENTS = Counters.place "framegate_close_events_of_dead_nodes_total"
local MESSAGES = Counters.place "framegate_redis_messages_total"
local BYTES = Counters.place "framegate_redis_bytes_total"

-- The counters of the gateway, by the name of the link's own.
local OF_LINK = {
  reconnects = Counters.place "framegate_redis_reconnects_total",
  received_messages = MESSAGES["in"],
  sent_messages = MESSAGES.out,
  received_bytes = BYTES["in"],
  sent_bytes = BYTES.out,
}

--- Makes a function that counts what one link to Redis has done since its last call. A link counts from its own start;
--- the counters of the gateway also contain the links of former holders.
---@return fun(state: RedisLinkState)
function ClusterMetrics.of_link()
  local last = {}
  return function(state)
    for name, place in pairs(OF_LINK) do
      count(place, state[name] - (last[name] or 0))
      last[name] = state[name]
    end
  end
end

--- Counts a push of an answer that did not reach every node.
function ClusterMetrics.lost() count(LOST) end

--- Records a push to many after its outcome is known.
---@param seconds number from its beginning
function ClusterMetrics.pushed(seconds) Counters.observe(PUSHED, seconds) end

--- Counts a dead node that this node has cleaned up after.
function ClusterMetrics.buried() count(BURIED) end

--- Counts a close event that this node has delivered for a socket of a dead node.
function ClusterMetrics.close_event() count(CLOSE_EVENTS) end

return ClusterMetrics
