-- GET /status: a short summary of the gateway and its workers.

local cjson = require "cjson.safe"
local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Counters = require "framegate.telemetry.counters"
local Definitions = require "framegate.telemetry.definitions"
local HandlerList = require "framegate.control.handler_list"
local Json = require "framegate.control.json"

local Status = {}

local bus, members

--- Gives this module the instances of its worker.
---@param worker Worker
function Status.wire(worker)
  bus, members = worker.bus, worker.members
end

local place = Counters.place
local EVENTS, DURATION = place "framegate_events_total", place "framegate_event_duration_seconds"

local function read_version()
  local file = assert(io.open(Config.run .. "/lua/framegate/control/openapi.json"))
  local document = cjson.decode(file:read("*a"))
  file:close()
  return document.info.version
end

--- The version of this gateway, which is the version in openapi.json.
Status.version = read_version()

-- The living workers that are not among those that answered.
local function silent_among(workers)
  local has_answered, silent = { [members:worker()] = true }, {}
  for _, worker in ipairs(workers) do
    has_answered[worker.name] = true
  end
  for _, other in ipairs(members:others()) do
    if not has_answered[other.name] and members:is_alive(other) then
      silent[#silent + 1] = other
    end
  end
  return silent
end

--- The statistics of every worker, in the order of their names.
---@return WorkerStats[]
---@return Member[] silent workers that did not answer
function Status.workers()
  local workers, is_complete = bus:call_all("describe_worker", {})
  table.sort(workers, function(a, b) return a.name < b.name end)
  return workers, is_complete and {} or silent_among(workers)
end

--- Adds up one value over workers.
---@param workers WorkerStats[]
---@param value fun(worker: WorkerStats): number
---@return number
function Status.sum(workers, value)
  local sum = 0
  for _, worker in ipairs(workers) do
    sum = sum + value(worker)
  end
  return sum
end

local function sum_of(totals, places)
  local sum = 0
  for _, at in pairs(places) do
    sum = sum + totals[at]
  end
  return sum
end

local function bound_of(bounds, i) return bounds[i] and ("%g"):format(bounds[i]) or '"+Inf"' end

-- The latency of all kinds of events together. Each bucket includes the ones before it, as in Prometheus.
local function latency(totals)
  local sum, count, buckets = 0, 0, {}
  local bounds = DURATION.open.bounds
  for _, kind in ipairs(Definitions.EVENTS) do
    sum = sum + totals[DURATION[kind].sum]
  end
  for i = 1, #bounds + 1 do
    for _, kind in ipairs(Definitions.EVENTS) do
      count = count + totals[DURATION[kind].first + i - 1]
    end
    buckets[i] = ("[%s,%d]"):format(bound_of(bounds, i), count)
  end
  return ('{"sum":%.3f,"count":%d,"buckets":[%s]}'):format(sum, count, table.concat(buckets, ","))
end

local function handler(totals)
  local events, failures = 0, 0
  for _, kind in ipairs(Definitions.EVENTS) do
    for outcome, at in pairs(EVENTS[kind]) do
      events = events + totals[at]
      failures = failures + (outcome ~= "answered" and outcome ~= "error_status" and totals[at] or 0)
    end
  end
  local is_up = events > 0 and tostring(totals.answered >= totals.failed) or "null"
  return Json.object({ events = events, failures = failures }, { { "is_up", is_up }, { "latency", latency(totals) } })
end

--- Adds up one value over the handlers of a worker.
---@param worker WorkerStats
---@param value fun(handler: HandlerState): number
---@return number
function Status.of_handlers(worker, value)
  local sum = 0
  for _, handler_state in ipairs(worker.handlers) do
    sum = sum + value(handler_state)
  end
  return sum
end

local function cache(totals)
  local messages = place "framegate_cache_messages_total"
  return { hits = totals[messages.hit], misses = totals[messages.miss], waits = totals[messages.wait] }
end

local function worker_json(worker)
  return cjson.encode {
    name = worker.name,
    pid = worker.pid,
    configuration = worker.configuration,
    is_leaving = worker.is_leaving,
    connections = worker.connections,
    memory = worker.memory,
    lua_memory = worker.lua_memory,
    lanes = Status.of_handlers(worker, function(state) return state.lanes.open end),
    waiting = Status.of_handlers(worker, function(state) return state.for_lane + state.for_retry end),
  }
end

local function silent_json(worker)
  return cjson.encode { name = worker.name, pid = worker.pid, is_leaving = worker.is_leaving }
end

local function timer_json(timer) return cjson.encode { path = timer.path, period = timer.period / 1000 } end

--- Writes the answer: JSON, as openapi.json describes it.
---@return string
function Status.read()
  local workers, silent = Status.workers()
  local totals, times = Counters.totals(), members:times()
  local function total(name) return totals[place(name)] end
  return Json.object({
    node = members:node(),
    version = Status.version,
    started = Clock.format(times.started),
    uptime = math.floor(members:uptime()),
    configuration = times.configuration,
    loaded = Clock.format(times.loaded),
    connections = Status.sum(workers, function(worker) return worker.connections end),
    sessions = {
      away = Status.sum(workers, function(worker) return worker.away.count end),
      bytes = Status.sum(workers, function(worker) return worker.away.bytes end),
    },
    missing_links = Status.sum(workers, function(worker) return worker.links.missing end),
    frames = { ["in"] = total "framegate_frames_received_total", out = total "framegate_frames_sent_total" },
    bytes = { ["in"] = total "framegate_received_bytes_total", out = total "framegate_sent_bytes_total" },
    cache = cache(totals),
    pushes = {
      requests = sum_of(totals, place "framegate_pushes_total"),
      delivered = sum_of(totals, place "framegate_pushes_delivered_total"),
      dropped = sum_of(totals, place "framegate_pushes_dropped_total"),
    },
  }, {
    { "workers", Json.array(workers, worker_json) },
    { "silent_workers", Json.array(silent, silent_json) },
    { "timers", Json.array(Config.TIMERS, timer_json) },
    { "handler", handler(totals) },
    { "handlers", HandlerList.json(workers, totals) },
  })
end

return Status
