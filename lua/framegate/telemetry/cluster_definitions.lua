-- The metrics of a cluster, as definitions.lua has all metrics.

local LabelSets = require "framegate.telemetry.label_sets"

return {
  { "framegate_redis_up", "gauge", "Whether the link to Redis is up (1) or down (0)." },
  { "framegate_redis_reconnects_total", "counter", "Connections to Redis that replaced an earlier one." },
  { "framegate_redis_subscriptions", "gauge", "Channels that this node is subscribed to." },
  {
    "framegate_redis_messages_total",
    "counter",
    "Messages of channels that came from Redis, and commands that went to it.",
    labels = { "direction" },
    sets = LabelSets.singly { "in", "out" },
  },
  {
    "framegate_redis_bytes_total",
    "counter",
    "Bytes that came from Redis and went to it.",
    labels = { "direction" },
    sets = LabelSets.singly { "in", "out" },
  },
  { "framegate_redis_waiting_bytes", "gauge", "Bytes of commands that wait to be sent to Redis." },
  { "framegate_cluster_nodes", "gauge", "Nodes whose lease this node has seen, itself included." },
  { "framegate_cluster_lease_age_seconds", "gauge", "Time since Redis last confirmed the lease of this node." },
  { "framegate_cluster_requests_in_flight", "gauge", "Requests to other nodes that are not finished." },
  { "framegate_cluster_kept_bytes", "gauge", "Messages published by answers that are kept until every node has them." },
  {
    "framegate_cluster_push_duration_seconds",
    "histogram",
    "Time of a push to many until every node has answered, or was given up.",
    bounds = LabelSets.SECONDS,
  },
  { "framegate_nodes_buried_total", "counter", "Dead nodes that this node has cleaned up after." },
  {
    "framegate_close_events_of_dead_nodes_total",
    "counter",
    "Close events that this node has delivered for sockets of dead nodes.",
  },
}
