-- The handlers of this gateway, each with what all workers have of it: for GET /status and GET /metrics.

local Counters = require "framegate.telemetry.counters"
local Definitions = require "framegate.telemetry.definitions"
local Handlers = require "framegate.dispatch.handlers"
local HandlerSeries = require "framegate.telemetry.handler_series"
local Json = require "framegate.control.json"

local HandlerList = {}

---@class HandlerRow
---@field name string
---@field is_up boolean? whether the last request was answered; nil before the first
---@field busy integer lanes that carry a request
---@field idle integer lanes that do not
---@field for_lane integer events that wait for a lane
---@field for_retry integer events that wait for their retry
---@field answered number when a request last ended so, in seconds of the monotonic clock; 0 if never
---@field failed number

local EVENTS = Counters.place "framegate_handler_events_total"

local function add(row, state)
  row.busy, row.idle = row.busy + state.lanes.busy, row.idle + state.lanes.open - state.lanes.busy
  row.for_lane, row.for_retry = row.for_lane + state.for_lane, row.for_retry + state.for_retry
  row.answered, row.failed = math.max(row.answered, state.answered), math.max(row.failed, state.failed)
  if row.answered + row.failed > 0 then
    row.is_up = row.answered >= row.failed
  end
end

-- That of HANDLER_URL is the first one.
local function is_before(a, b)
  if a.name == Handlers.DEFAULT or b.name == Handlers.DEFAULT then
    return a.name == Handlers.DEFAULT and b.name ~= Handlers.DEFAULT
  end
  return a.name < b.name
end

--- Adds up what the workers know of each handler.
---@param workers WorkerStats[]
---@return HandlerRow[] in the order of their names
function HandlerList.of(workers)
  local rows, by_name = {}, {}
  for _, worker in ipairs(workers) do
    for _, state in ipairs(worker.handlers) do
      local row = by_name[state.name]
      if not row then
        row = { name = state.name, busy = 0, idle = 0, for_lane = 0, for_retry = 0, answered = 0, failed = 0 }
        by_name[state.name], rows[#rows + 1] = row, row
      end
      add(row, state)
    end
  end
  table.sort(rows, is_before)
  return rows
end

-- The places of a handler's counters; those of the last series if it has none of its own.
local function places_of(name)
  for _, series in ipairs(Definitions.HANDLERS) do
    if HandlerSeries.name_of(series) == name then
      return EVENTS[series]
    end
  end
  return EVENTS[Definitions.HANDLERS[#Definitions.HANDLERS]]
end

local function row_json(row, totals)
  local events, failures = 0, 0
  for outcome, at in pairs(places_of(row.name)) do
    events = events + totals[at]
    failures = failures + (outcome ~= "answered" and outcome ~= "error_status" and totals[at] or 0)
  end
  return Json.object({
    name = row.name,
    events = events,
    failures = failures,
    lanes = row.busy + row.idle,
    waiting = row.for_lane + row.for_retry,
  }, { { "is_up", row.is_up == nil and "null" or tostring(row.is_up) } })
end

--- Writes a JSON array of all handlers, as openapi.json describes them.
---@param workers WorkerStats[]
---@param totals table as Counters.totals gives them
---@return string
function HandlerList.json(workers, totals)
  return Json.array(HandlerList.of(workers), function(row) return row_json(row, totals) end)
end

-- Two series of a gauge for each handler.
local function pairs_of(workers, values)
  local series = {}
  for _, row in ipairs(HandlerList.of(workers)) do
    for _, value in ipairs(values(row)) do
      series[#series + 1] = { row.name, value[1], value[2] }
    end
  end
  return series
end

--- Reads the series of framegate_handler_up.
---@param workers WorkerStats[]
---@return table[] series labels, and the value
function HandlerList.up(workers)
  local series = {}
  for i, row in ipairs(HandlerList.of(workers)) do
    series[i] = { row.name, row.is_up == false and 0 or 1 }
  end
  return series
end

--- Reads the series of framegate_handler_lanes.
---@param workers WorkerStats[]
---@return table[] series labels, and the value
function HandlerList.lanes(workers)
  return pairs_of(workers, function(row) return { { "busy", row.busy }, { "idle", row.idle } } end)
end

--- Reads the series of framegate_handler_events_waiting.
---@param workers WorkerStats[]
---@return table[] series labels, and the value
function HandlerList.waiting(workers)
  return pairs_of(workers, function(row) return { { "lane", row.for_lane }, { "retry", row.for_retry } } end)
end

return HandlerList
