-- Every metric of the gateway: name, type, help and label sets.
-- counters.lua reserves memory for counters and histograms; metrics.lua writes all metrics.
-- A family is { name, type, help, labels = names, sets = values of each series }.
-- Names follow prometheus.io/docs/practices/naming.

local LabelSets = require "framegate.telemetry.label_sets"

local Definitions = {}

Definitions.EVENTS = { "open", "message", "alarm", "detach", "resume", "close", "timer" }
Definitions.OUTCOMES =
  { "answered", "error_status", "unavailable", "closing", "lost", "timeout", "refused", "malformed", "crowded" }
Definitions.REFUSALS =
  { "handshake", "origin", "full", "leaving", "address", "handler", "unavailable", "timeout", "error", "left", "over" }
-- Series of handlers. A handler gets one when it is first used (handler_series.lua); those beyond share the last one.
Definitions.HANDLERS = {}
for i = 1, 32 do
  Definitions.HANDLERS[i] = tostring(i)
end
Definitions.CACHE_RESULTS = { "hit", "miss", "wait" }
Definitions.SPANS = { "sent", "dropped", "failed" }
Definitions.PUSHES = { "connection", "topic", "user", "broadcast" }

local SECONDS = LabelSets.SECONDS
local EVENTS_OF_A_REQUEST = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512 }

local singly, product = LabelSets.singly, LabelSets.product
local DIRECTIONS = singly { "in", "out" }

--- Why kept frames are removed.
Definitions.REMOVALS = { "number", "age", "memory" }

Definitions.list = {
  { "framegate_build_info", "gauge", "The version that runs; always 1.", labels = { "version" } },
  { "framegate_start_time_seconds", "gauge", "When the gateway started, in seconds since 1970." },
  { "framegate_configuration", "gauge", "The number of the configuration that runs; a reload raises it." },
  {
    "framegate_configuration_loaded_time_seconds",
    "gauge",
    "When the configuration that runs was loaded, in seconds since 1970.",
  },
  {
    "framegate_workers",
    "gauge",
    "Living workers; those that shut down keep serving their sockets.",
    labels = { "state" },
  },
  { "framegate_workers_killed_total", "counter", "Workers that ended although nobody stopped them." },
  { "framegate_mesh_links", "gauge", "Links between workers, counted at both ends." },
  { "framegate_mesh_links_missing", "gauge", "Links between workers that are missing, counted at both ends." },
  { "framegate_resident_memory_bytes", "gauge", "Memory of all workers; shared memory is counted for each." },
  { "framegate_lua_memory_bytes", "gauge", "Memory that Lua holds in all workers." },

  { "framegate_sockets", "gauge", "Sockets that are open." },
  { "framegate_max_sockets", "gauge", "Sockets that all serving workers can hold." },
  { "framegate_free_sockets", "gauge", "Sockets that all serving workers can still accept." },
  { "framegate_sockets_opened_total", "counter", "Sockets that were accepted." },
  {
    "framegate_sockets_refused_total",
    "counter",
    "Handshakes that were refused, by cause.",
    labels = { "cause" },
    sets = singly(Definitions.REFUSALS),
  },
  {
    "framegate_sockets_closed_total",
    "counter",
    "Sockets that have ended, by cause and by close code.",
    labels = { "cause", "code" },
    sets = LabelSets.closes(),
  },

  { "framegate_sessions_away", "gauge", "Open sockets whose client is away: sessions without a transport." },
  { "framegate_sessions_away_bytes", "gauge", "Bytes that wait for clients that are away." },
  { "framegate_sessions_max_away", "gauge", "Clients that may be away (MAX_DETACHED)." },
  { "framegate_sessions_max_away_bytes", "gauge", "Bytes that may wait for clients that are away (DETACHED_BYTES)." },
  { "framegate_sessions_detached_total", "counter", "Times that a session lost its transport." },
  { "framegate_sessions_resumed_total", "counter", "Times that a client came back to its session." },
  {
    "framegate_sessions_overflowed_total",
    "counter",
    "Sessions that ended because too many clients were away, or too much waited for them.",
  },
  { "framegate_sessions_moved_total", "counter", "Sessions that have come from another worker or node." },
  {
    "framegate_sessions_moves_failed_total",
    "counter",
    "Moves of sessions to another worker or node that have failed; the client dials again.",
  },

  { "framegate_frames_received_total", "counter", "Messages that clients sent." },
  { "framegate_frames_sent_total", "counter", "Messages accepted for sending to clients." },
  { "framegate_received_bytes_total", "counter", "Payload of the messages that clients sent." },
  { "framegate_sent_bytes_total", "counter", "Payload of the messages for clients." },
  {
    "framegate_compressed_frames_total",
    "counter",
    "Messages that came compressed, and messages that were sent compressed.",
    labels = { "direction" },
    sets = DIRECTIONS,
  },
  {
    "framegate_compression_bytes_total",
    "counter",
    "Payload of these messages as it is, and compressed.",
    labels = { "direction", "form" },
    sets = product({ "in", "out" }, { "plain", "compressed" }),
  },
  {
    "framegate_compressions_total",
    "counter",
    "Times that a message was compressed; its receivers in a worker share the result.",
  },
  { "framegate_frames_rate_limited_total", "counter", "Messages over MESSAGE_RATE, which the handler does not see." },
  { "framegate_messages_queued", "gauge", "Messages that wait for the answer to the one before them." },
  { "framegate_outbox_bytes", "gauge", "Bytes that wait to be sent to clients." },

  { "framegate_log_lines_lost_total", "counter", "Lines of SOCKET_LOG that could not be written." },

  {
    "framegate_events_total",
    "counter",
    "Events that have ended, by type and by outcome.",
    labels = { "type", "outcome" },
    sets = product(Definitions.EVENTS, Definitions.OUTCOMES),
  },
  {
    "framegate_event_duration_seconds",
    "histogram",
    "Time from when an event was ready to its end, with waiting and repeats.",
    labels = { "type" },
    sets = singly(Definitions.EVENTS),
    bounds = SECONDS,
  },
  {
    "framegate_event_retries_total",
    "counter",
    "Events that were queued to be sent again, by reason.",
    labels = { "reason" },
    sets = singly { "unavailable", "closing", "lost", "timeout" },
  },
  {
    "framegate_handler_events_total",
    "counter",
    "Events that have ended, by handler and by outcome.",
    labels = { "handler", "outcome" },
    sets = product(Definitions.HANDLERS, Definitions.OUTCOMES),
  },
  { "framegate_handler_up", "gauge", "Whether a handler has answered its last request.", labels = { "handler" } },
  { "framegate_handler_events_waiting", "gauge", "Events that wait for a handler.", labels = { "handler", "for" } },
  { "framegate_handler_lanes", "gauge", "Connections to a handler.", labels = { "handler", "state" } },
  { "framegate_close_events_given_up_total", "counter", "Close events that no handler has answered." },
  { "framegate_answers_rejected_total", "counter", "Answers of the handler that could not be applied." },
  { "framegate_request_events", "histogram", "Events in one request to the handler.", bounds = EVENTS_OF_A_REQUEST },
  {
    "framegate_events_waiting",
    "gauge",
    "Events that wait for a lane, or for their time to be sent again.",
    labels = { "for" },
  },
  { "framegate_lanes", "gauge", "Connections to the handler, by whether they carry a request.", labels = { "state" } },
  { "framegate_streams", "gauge", "Answers that stream now; each has a connection to the handler beside the lanes." },

  {
    "framegate_cache_messages_total",
    "counter",
    "Messages in locations with $ws_cache: answered from the cache, sent to the handler, or waited for an equal one.",
    labels = { "result" },
    sets = singly(Definitions.CACHE_RESULTS),
  },

  {
    "framegate_pushes_total",
    "counter",
    "Pushes, by kind of receiver.",
    labels = { "kind" },
    sets = singly(Definitions.PUSHES),
  },
  {
    "framegate_pushes_delivered_total",
    "counter",
    "Sockets that accepted the frame of a push.",
    labels = { "kind" },
    sets = singly(Definitions.PUSHES),
  },
  {
    "framegate_pushes_dropped_total",
    "counter",
    "Sockets whose outbox had no room for the frame of a push.",
    labels = { "kind" },
    sets = singly(Definitions.PUSHES),
  },
  {
    "framegate_publications_lost_total",
    "counter",
    "Messages published by answers that did not reach every node of the cluster.",
  },

  {
    "framegate_spans_total",
    "counter",
    "Spans of traces: accepted by the collector, dropped because too many waited, or not accepted.",
    labels = { "outcome" },
    sets = singly(Definitions.SPANS),
  },

  { "framegate_history_frames", "gauge", "Frames that HISTORY keeps in this gateway." },
  { "framegate_history_bytes", "gauge", "Memory that these frames take." },
  { "framegate_history_max_bytes", "gauge", "HISTORY_BYTES." },
  {
    "framegate_history_removed_total",
    "counter",
    "Kept frames that were removed, because of the number or the age in HISTORY, or for want of memory.",
    labels = { "reason" },
    sets = singly(Definitions.REMOVALS),
  },
  { "framegate_history_unkept_total", "counter", "Frames that found no memory." },
}

for _, family in ipairs(require "framegate.telemetry.cluster_definitions") do
  table.insert(Definitions.list, family)
end

return Definitions
