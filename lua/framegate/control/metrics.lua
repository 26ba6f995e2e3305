-- GET /metrics: all metrics in Prometheus text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).

local Config = require "framegate.config"
local Counters = require "framegate.telemetry.counters"
local Definitions = require "framegate.telemetry.definitions"
local HandlerList = require "framegate.control.handler_list"
local HandlerSeries = require "framegate.telemetry.handler_series"
local NodeList = require "framegate.control.node_list"
local Status = require "framegate.control.status"

local Metrics = {}

local members, history

--- Gives this module the instances of its worker.
---@param worker Worker
function Metrics.wire(worker)
  members, history = worker.members, worker.history
end

local function sum_of(value)
  return function(now) return Status.sum(now.workers, value) end
end

local function sum_of_handlers(workers, value)
  return Status.sum(workers, function(worker) return Status.of_handlers(worker, value) end)
end

local function leaving(worker) return worker.is_leaving and 1 or 0 end

-- A gauge of the cluster has no series without a cluster, and without a value.
local function of_cluster(value)
  return function(now) return now.cluster and value(now.cluster) or {} end
end

-- Without HISTORY, and in a cluster, this gateway keeps no frames.
local function of_history(name)
  return function(now) return now.history and now.history[name] or 0 end
end

-- Each function reads a gauge: it gives a number, or a list of series, each with its label values and a number.
local GAUGES = {
  framegate_build_info = function() return { { Status.version, 1 } } end,
  framegate_start_time_seconds = function() return members:times().started end,
  framegate_configuration = function() return members:times().configuration end,
  framegate_configuration_loaded_time_seconds = function() return members:times().loaded end,
  framegate_workers = function(now)
    local gone = Status.sum(now.workers, leaving)
    return { { "serving", #now.workers - gone }, { "leaving", gone }, { "silent", #now.silent } }
  end,
  framegate_mesh_links = sum_of(function(worker) return worker.links.linked end),
  framegate_mesh_links_missing = sum_of(function(worker) return worker.links.missing end),
  framegate_resident_memory_bytes = sum_of(function(worker) return worker.memory end),
  framegate_lua_memory_bytes = sum_of(function(worker) return worker.lua_memory end),
  framegate_sockets = function(now) return now.totals.open end,
  framegate_max_sockets = sum_of(function(worker) return worker.is_leaving and 0 or worker.max_connections end),
  framegate_free_sockets = sum_of(
    function(worker) return worker.is_leaving and 0 or math.max(worker.max_connections - worker.connections, 0) end
  ),
  framegate_sessions_away = sum_of(function(worker) return worker.away.count end),
  framegate_sessions_away_bytes = sum_of(function(worker) return worker.away.bytes end),
  framegate_sessions_max_away = function() return Config.MAX_DETACHED end,
  framegate_sessions_max_away_bytes = function() return Config.DETACHED_BYTES end,
  framegate_messages_queued = sum_of(function(worker) return worker.queued end),
  framegate_outbox_bytes = sum_of(function(worker) return worker.outbox end),
  framegate_events_waiting = function(now)
    return {
      { "lane", sum_of_handlers(now.workers, function(state) return state.for_lane end) },
      { "retry", sum_of_handlers(now.workers, function(state) return state.for_retry end) },
    }
  end,
  framegate_lanes = function(now)
    local open = sum_of_handlers(now.workers, function(state) return state.lanes.open end)
    local busy = sum_of_handlers(now.workers, function(state) return state.lanes.busy end)
    return { { "busy", busy }, { "idle", open - busy } }
  end,
  framegate_streams = function(now)
    return sum_of_handlers(now.workers, function(state) return state.lanes.streams or 0 end) -- older workers have none
  end,
  framegate_handler_up = function(now) return HandlerList.up(now.workers) end,
  framegate_handler_events_waiting = function(now) return HandlerList.waiting(now.workers) end,
  framegate_handler_lanes = function(now) return HandlerList.lanes(now.workers) end,
  framegate_history_frames = of_history "frames",
  framegate_history_bytes = of_history "bytes",
  framegate_history_max_bytes = of_history "max_bytes",
  framegate_redis_up = of_cluster(function(cluster) return cluster.link.is_up and 1 or 0 end),
  framegate_redis_subscriptions = of_cluster(function(cluster) return cluster.link.subscriptions end),
  framegate_redis_waiting_bytes = of_cluster(function(cluster) return cluster.link.waiting_bytes end),
  framegate_cluster_nodes = of_cluster(function(cluster) return cluster.living end),
  framegate_cluster_lease_age_seconds = of_cluster(function(cluster) return cluster.link.lease_age end),
  framegate_cluster_requests_in_flight = of_cluster(function(cluster) return cluster.link.in_flight end),
  framegate_cluster_kept_bytes = of_cluster(function(cluster) return cluster.link.kept_bytes end),
}

local function labels_of(names, values)
  local pairs_of = {}
  for i, name in ipairs(names or {}) do
    pairs_of[i] = ('%s="%s"'):format(name, values[i])
  end
  return pairs_of
end

local function add(lines, name, labels, value)
  lines[#lines + 1] = ("%s%s %.15g"):format(name, labels[1] and "{" .. table.concat(labels, ",") .. "}" or "", value)
end

local function add_gauge(lines, family, value)
  if type(value) == "number" then
    return add(lines, family[1], {}, value)
  end
  for _, series in ipairs(value) do
    add(lines, family[1], labels_of(family.labels, series), series[#series])
  end
end

local function add_histogram(lines, name, labels, place, totals)
  local count = 0
  local last = #labels + 1
  for i = 1, #place.bounds + 1 do
    count = count + totals[place.first + i - 1]
    labels[last] = ('le="%s"'):format(place.bounds[i] and ("%g"):format(place.bounds[i]) or "+Inf")
    add(lines, name .. "_bucket", labels, count)
  end
  labels[last] = nil
  add(lines, name .. "_sum", labels, totals[place.sum])
  add(lines, name .. "_count", labels, count)
end

local function place_of(family, set)
  local place = Counters.place(family[1])
  for _, value in ipairs(set) do
    place = place[value]
  end
  return place
end

-- The label values of a series, or nil if no handler has it. Only a handler's series is not named by its set.
local function values_of(family, set, totals)
  if family.labels and family.labels[1] == "handler" then
    local name = HandlerSeries.name_of(set[1])
    local is_unused = name == HandlerSeries.OTHERS and totals[place_of(family, set)] == 0
    return name and not is_unused and { name, set[2] } or nil
  end
  return set
end

local function add_series(lines, family, series)
  local labels = labels_of(family.labels, series.values)
  if family.bounds then
    add_histogram(lines, family[1], labels, series.place, series.totals)
  else
    add(lines, family[1], labels, series.totals[series.place])
  end
end

local function add_counted(lines, family, totals)
  for _, set in ipairs(family.sets or { {} }) do
    local values = values_of(family, set, totals)
    if values then
      add_series(lines, family, { values = values, place = place_of(family, set), totals = totals })
    end
  end
end

local function read()
  local workers, silent = Status.workers()
  local cluster = NodeList.cluster(silent) -- before the counters, which it brings up to date
  return {
    workers = workers,
    silent = silent,
    cluster = cluster,
    history = history.store and history.store:usage(),
    totals = Counters.totals(),
  }
end

--- Writes all metrics, over all workers.
---@return string
function Metrics.read()
  local now = read()
  local lines = {}
  for _, family in ipairs(Definitions.list) do
    local name, kind, help = unpack(family)
    lines[#lines + 1] = ("# HELP %s %s"):format(name, help)
    lines[#lines + 1] = ("# TYPE %s %s"):format(name, kind)
    if kind == "gauge" then
      add_gauge(lines, family, GAUGES[name](now))
    else
      add_counted(lines, family, now.totals)
    end
  end
  return table.concat(lines, "\n")
end

return Metrics
