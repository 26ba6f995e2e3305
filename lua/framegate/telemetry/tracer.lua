-- Traces: gives events a trace context of their own, and makes spans of those events and pushes that are sampled.
-- docs/traces.md describes the spans.

local Clock = require "framegate.runtime.clock"
local FastRandom = require "framegate.runtime.fast_random"
local SocketLog = require "framegate.telemetry.socket_log"
local Span = require "framegate.telemetry.span"
local TraceContext = require "framegate.telemetry.trace_context"
local Traceparent = require "framegate.protocol.traceparent"

local now = Clock.monotonic

---@class Tracer
---@field private ratio number the share of events and pushes without a parent that are sampled
---@field private export fun(span: string) takes a span in JSON; must not yield
local Tracer = {}
Tracer.__index = Tracer

---@param options { ratio: number, export: fun(span: string) }
---@return Tracer
function Tracer.new(options) return setmetatable({ ratio = options.ratio, export = options.export }, Tracer) end

-- The context of the handshake to which an event belongs. That of a connection is kept with it.
local function context_of(event)
  local connection = event.connection
  local lines = event.handshake or connection.handshake
  local context = connection.trace_context
  if not context or context.from ~= lines then
    context = TraceContext.of(lines)
    connection.trace_context = context
  end
  return context
end

-- Whether an event is a part of the handshake. Other events begin traces of their own: a socket may be open for days.
local function is_of_handshake(event) return event.kind == "open" or event.handshake ~= nil end

-- What has a parent follows its decision.
local function is_sampled(self, parent)
  if parent then
    return parent.is_sampled
  end
  return self.ratio >= 1 or self.ratio > 0 and FastRandom.share() < self.ratio
end

--- Gives an event its trace context. Does not yield.
---@param event Event that is about to be sent for the first time
function Tracer:begin(event)
  local context = context_of(event)
  local parent = context.parent
  local trace_id = parent and is_of_handshake(event) and parent.trace_id or nil
  event.trace_context, event.traceparent = context, TraceContext.new(trace_id, is_sampled(self, parent))
end

local function failure_of(answer)
  if answer.failure then
    return answer.error.message, answer.failure
  elseif answer.status >= 400 then
    return "", tostring(answer.status)
  end
end

--- Exports the span of an event, if it is sampled. Does not yield.
---@param event Event
---@param answer Answer
function Tracer:ended(event, answer)
  local traceparent, parent = event.traceparent, event.trace_context.parent
  if not Traceparent.is_sampled(traceparent) then
    return
  end
  local connection, is_of_it = event.connection, is_of_handshake(event)
  local failure, kind = failure_of(answer)
  self.export(Span.encode {
    trace_id = Traceparent.trace_id(traceparent),
    span_id = Traceparent.span_id(traceparent),
    parent = is_of_it and parent or nil,
    link = not is_of_it and parent or nil,
    name = "framegate." .. event.kind,
    kind = Span.CLIENT,
    seconds = now() - event.since,
    failure = failure,
    attributes = {
      { "cloudevents.event_id", event.id },
      { "framegate.connection.id", connection.id },
      { "url.path", connection.path and SocketLog.path(connection.path) },
      { "http.request.method", "POST" },
      { "http.request.body.size", #event.body },
      { "http.request.resend_count", event.attempts > 1 and event.attempts - 1 or nil },
      { "http.response.status_code", not answer.failure and answer.status or nil },
      { "http.response.body.size", not answer.failure and #answer.body or nil },
      { "error.type", kind },
    },
  })
end

---@class PushSpan a push that is sampled and has not ended
---@field kind "connection"|"topic"|"user"|"broadcast"
---@field target string? the topic or the connection
---@field bytes integer
---@field parent Traceparent?
---@field since number in seconds of the monotonic clock

--- Begins the span of a push.
---@param push { kind: string, target: string?, bytes: integer }
---@param traceparent string? of who asks for it
---@return PushSpan? span nil if it is not sampled
function Tracer:begin_push(push, traceparent)
  local parent = Traceparent.read(traceparent)
  if not is_sampled(self, parent) then
    return nil
  end
  return { kind = push.kind, target = push.target, bytes = push.bytes, parent = parent, since = now() }
end

--- Exports the span of a push. Does not yield.
---@param span PushSpan
---@param counts { delivered: integer, dropped: integer }? nil when nobody counts
---@param err string? why it did not reach everybody
function Tracer:end_push(span, counts, err)
  local parent, kind = span.parent, span.kind
  local traceparent = TraceContext.new(parent and parent.trace_id, true)
  self.export(Span.encode {
    trace_id = Traceparent.trace_id(traceparent),
    span_id = Traceparent.span_id(traceparent),
    parent = parent,
    name = "push " .. kind,
    kind = Span.PRODUCER,
    seconds = now() - span.since,
    failure = err and "",
    attributes = {
      { "messaging.system", "framegate" },
      { "messaging.operation.type", "send" },
      { "messaging.destination.name", kind == "topic" and span.target or nil },
      { "messaging.message.body.size", span.bytes },
      { "framegate.connection.id", kind == "connection" and span.target or nil },
      { "framegate.delivered", counts and counts.delivered },
      { "framegate.dropped", counts and counts.dropped },
      { "error.type", err },
    },
  })
end

return Tracer
