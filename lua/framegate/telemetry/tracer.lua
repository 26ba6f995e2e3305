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
---@field private skips number how many of them are not, before the next one that is
---@field private export fun(span: EndedSpan) takes a span; must not yield
local Tracer = {}
Tracer.__index = Tracer

-- How many come before the next one that is sampled, if each is with this probability: the geometric distribution.
local function draw_skips(ratio)
  if ratio >= 1 then
    return 0
  elseif 1 - ratio == 1 then
    return math.huge
  end
  return math.floor(math.log(1 - FastRandom.share()) / math.log(1 - ratio))
end

---@class EndedSpan what a span is written from, later and in another thread: LuaJIT does not compile that, and leaving
---  compiled code for one event of a hundred would slow down the others
---@field encode fun(self: EndedSpan): string JSON
---@field ended integer in microseconds since 1970

---@param options { ratio: number, export: fun(span: EndedSpan) }
---@return Tracer
function Tracer.new(options)
  local ratio = options.ratio
  return setmetatable({ ratio = ratio, skips = draw_skips(ratio), export = options.export }, Tracer)
end

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
  if self.skips > 0 then
    self.skips = self.skips - 1
    return false
  end
  self.skips = draw_skips(self.ratio)
  return true
end

--- Gives an event its trace context. Does not yield.
---@param event Event that is about to be sent for the first time
function Tracer:begin(event)
  local context = context_of(event)
  local parent = context.parent
  local trace_id = parent and is_of_handshake(event) and parent.trace_id or nil
  event.trace_context, event.traceparent = context, TraceContext.new(trace_id, is_sampled(self, parent))
end

local function encode_event(span)
  local traceparent, parent, failure, status = span.traceparent, span.parent, span.failure, span.status
  local message = failure and span.message or status and status >= 400 and "" or nil
  return Span.encode {
    trace_id = Traceparent.trace_id(traceparent),
    span_id = Traceparent.span_id(traceparent),
    parent = span.is_of_handshake and parent or nil,
    link = not span.is_of_handshake and parent or nil,
    name = "framegate." .. span.kind,
    kind = Span.CLIENT,
    ended = span.ended,
    seconds = span.seconds,
    failure = message,
    attributes = {
      { "cloudevents.event_id", span.event_id },
      { "framegate.connection.id", span.connection_id },
      { "url.path", span.path and SocketLog.path(span.path) },
      { "http.request.method", "POST" },
      { "http.request.body.size", span.bytes },
      { "http.request.resend_count", span.attempts > 1 and span.attempts - 1 or nil },
      { "http.response.status_code", status },
      { "http.response.body.size", span.answer_bytes },
      { "error.type", failure or message and tostring(status) },
    },
  }
end

--- Exports the span of an event, if it is sampled. Does not yield.
---@param event Event
---@param answer Answer
function Tracer:ended(event, answer)
  if not Traceparent.is_sampled(event.traceparent) then
    return
  end
  local connection, failure = event.connection, answer.failure
  self.export {
    encode = encode_event,
    ended = Clock.unix_microseconds(),
    seconds = now() - event.since,
    traceparent = event.traceparent,
    parent = event.trace_context.parent,
    is_of_handshake = is_of_handshake(event),
    kind = event.kind,
    event_id = event.id,
    connection_id = connection.id,
    path = connection.path,
    bytes = #event.body,
    attempts = event.attempts,
    failure = failure,
    message = failure and answer.error.message,
    status = not failure and answer.status or nil,
    answer_bytes = not failure and #answer.body or nil,
  }
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

local function encode_push(span)
  local push, counts, err = span.push, span.counts, span.err
  local parent, kind = push.parent, push.kind
  local traceparent = TraceContext.new(parent and parent.trace_id, true)
  return Span.encode {
    trace_id = Traceparent.trace_id(traceparent),
    span_id = Traceparent.span_id(traceparent),
    parent = parent,
    name = "push " .. kind,
    kind = Span.PRODUCER,
    ended = span.ended,
    seconds = span.seconds,
    failure = err and "",
    attributes = {
      { "messaging.system", "framegate" },
      { "messaging.operation.type", "send" },
      { "messaging.destination.name", kind == "topic" and push.target or nil },
      { "messaging.message.body.size", push.bytes },
      { "framegate.connection.id", kind == "connection" and push.target or nil },
      { "framegate.delivered", counts and counts.delivered },
      { "framegate.dropped", counts and counts.dropped },
      { "error.type", err },
    },
  }
end

--- Exports the span of a push. Does not yield.
---@param span PushSpan
---@param counts { delivered: integer, dropped: integer }? nil when nobody counts
---@param err string? why it did not reach everybody
function Tracer:end_push(span, counts, err)
  self.export {
    encode = encode_push,
    ended = Clock.unix_microseconds(),
    seconds = now() - span.since,
    push = span,
    counts = counts,
    err = err,
  }
end

return Tracer
