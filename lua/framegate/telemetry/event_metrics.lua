-- Counts the events that are sent, retried and ended.

local Clock = require "framegate.runtime.clock"
local Counters = require "framegate.telemetry.counters"

local EventMetrics = {}

local count, observe = Counters.count, Counters.observe
local now, floor = Clock.monotonic, math.floor

local ENDED = Counters.place "framegate_events_total"
local DURATION = Counters.place "framegate_event_duration_seconds"
local RETRIED = Counters.place "framegate_event_retries_total"
local GIVEN_UP = Counters.place "framegate_close_events_given_up_total"
local REJECTED = Counters.place "framegate_answers_rejected_total"
local REQUEST_EVENTS = Counters.place "framegate_request_events"

--- Counts a request that is sent to the handler.
---@param events integer how many it carries
function EventMetrics.sent(events) observe(REQUEST_EVENTS, events) end

--- Counts an event that will be sent again.
---@param reason string a failure of answer.lua
function EventMetrics.retried(reason) count(RETRIED[reason]) end

--- Counts an answer of the handler whose effects cannot be applied.
function EventMetrics.rejected() count(REJECTED) end

--- Counts an event that has ended.
---@param event Event
---@param answer Answer
---@param series table<string, integer> of its handler, as HandlerSeries.claim gives them
function EventMetrics.ended(event, answer, series)
  local kind, failure, time = event.kind, answer.failure, now()
  local outcome = failure or answer.status >= 400 and "error_status" or "answered"
  count(ENDED[kind][outcome])
  count(series[outcome])
  observe(DURATION[kind], floor((time - event.since) * 1000 + 0.5) / 1000) -- in whole milliseconds
  Counters.note_end(time, failure ~= nil)
  if kind == "close" and failure and failure ~= "malformed" then
    count(GIVEN_UP)
  end
end

return EventMetrics
