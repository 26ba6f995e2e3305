-- Whether an event is sent again when no handler has answered it, and when.

local Clock = require "framegate.runtime.clock"

local now = Clock.monotonic

local Patience = {}

local CLOSE_SECONDS, MAX_BACKOFF = 300, 0.5

--- How long an event may wait for a handler. An orphan tries again by itself (socket/orphan.lua).
---@param event Event
---@param wait number seconds, for all but close events
---@return number seconds
function Patience.seconds(event, wait)
  return event.connection.patience or event.kind == "close" and CLOSE_SECONDS or wait
end

--- Whether that time is over.
---@param event Event
---@param wait number as in seconds
---@return boolean
function Patience.is_over(event, wait) return now() - event.since > Patience.seconds(event, wait) end

--- Whether an event may be sent again: in time, and only if no handler can have processed it, or if that does no harm.
---@param event Event
---@param failure string as Answer names it
---@param wait number as in seconds
---@return boolean
function Patience.allows(event, failure, wait)
  local is_safe = failure == "unavailable" or failure == "closing"
  return not Patience.is_over(event, wait) and (is_safe or event.kind == "alarm" or event.kind == "close")
end

--- When an event may be sent again.
---@param event Event
---@param answer Answer a failure
---@param wait number as in seconds
---@return number due in seconds of the monotonic clock
function Patience.due(event, answer, wait)
  local backoff = event.attempts <= 1 and 0 or math.min(0.05 * 2 ^ (event.attempts - 2), MAX_BACKOFF)
  local due = now() + math.max(backoff, answer.retry_after or 0)
  return math.min(due, event.since + Patience.seconds(event, wait))
end

return Patience
