-- Counts what becomes of messages in locations whose answers are kept.

local Counters = require "framegate.telemetry.counters"

local CacheMetrics = {}

local MESSAGES = Counters.place "framegate_cache_messages_total"

--- Counts a message. One that has waited in vain counts as a miss, too.
---@param result "hit"|"miss"|"wait"
function CacheMetrics.count(result) Counters.count(MESSAGES[result]) end

return CacheMetrics
