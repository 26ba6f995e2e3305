-- Counts what happens to kept frames.

local Counters = require "framegate.telemetry.counters"

local HistoryMetrics = {}

local REMOVED = Counters.place "framegate_history_removed_total"
local UNKEPT = Counters.place "framegate_history_unkept_total"

--- Counts frames.
---@param what "number"|"age"|"memory"|"unkept" why they were removed, or that there was no memory for them
---@param frames integer
function HistoryMetrics.count(what, frames) Counters.count(what == "unkept" and UNKEPT or REMOVED[what], frames) end

return HistoryMetrics
