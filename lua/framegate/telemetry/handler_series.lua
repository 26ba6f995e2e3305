-- Which counters are those of which handler. The memory of counters is laid out before handlers are known, so a handler
-- gets one of its numbered series when a worker first uses it. All workers share the list, and reloads keep it.

local Counters = require "framegate.telemetry.counters"
local Definitions = require "framegate.telemetry.definitions"

local HandlerSeries = {}

HandlerSeries.OTHERS = "others" -- the name of the last series, for handlers beyond

local gateway = ngx.shared.gateway
local PLACES = Counters.place "framegate_handler_events_total"
local LAST = Definitions.HANDLERS[#Definitions.HANDLERS]

local function key(series) return "handler:" .. series end

--- Gives a handler its series, the same in every worker.
---@param name string of the handler
---@return table<string, integer> places of its counters, by outcome
function HandlerSeries.claim(name)
  for _, series in ipairs(Definitions.HANDLERS) do
    if series == LAST then
      break
    end
    gateway:safe_add(key(series), name)
    if gateway:get(key(series)) == name then
      return PLACES[series]
    end
  end
  return PLACES[LAST]
end

--- The name of the handler that has a series.
---@param series string of Definitions.HANDLERS
---@return string? name nil if no handler has it
function HandlerSeries.name_of(series) return series == LAST and HandlerSeries.OTHERS or gateway:get(key(series)) end

return HandlerSeries
