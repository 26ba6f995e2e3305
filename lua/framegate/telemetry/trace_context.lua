-- The trace context of events (W3C Trace Context): reads that of a handshake, and makes one for each span.

local ffi = require "ffi"
local FastRandom = require "framegate.runtime.fast_random"
local Traceparent = require "framegate.protocol.traceparent"

local find, sub = string.find, string.sub

---@class TraceContext of header lines
---@field from string the lines
---@field lines string the same without traceparent
---@field parent Traceparent? of a valid traceparent

local TraceContext = {}

local NAME = "\ntraceparent: "
local LENGTH = 55
local TRACE_AT, SPAN_AT, FLAG_AT = 3, 36, 54
local TRACE_WORDS, SPAN_WORDS = 4, 2
local YES, NO = ("10"):byte(1, 2)

-- They are made in groups, in a loop that LuaJIT compiles: alone, one would cost as much as 3 µs.
local GROUP = 128
local group = ffi.new("char[?]", GROUP * LENGTH)
local used = GROUP -- of them
ffi.copy(group, ("00-" .. ("0"):rep(32) .. "-" .. ("0"):rep(16) .. "-00"):rep(GROUP), GROUP * LENGTH)

local function make_group()
  for i = 0, GROUP - 1 do
    local text = group + i * LENGTH
    FastRandom.write_hex(text + TRACE_AT, TRACE_WORDS)
    FastRandom.write_hex(text + SPAN_AT, SPAN_WORDS)
  end
  used = 0
end

--- Takes traceparent out of the header lines of a handshake.
---@param lines string
---@return TraceContext
function TraceContext.of(lines)
  local first, last = find(lines, NAME, 1, true)
  if not first then
    return { from = lines, lines = lines }
  end
  local ending = find(lines, "\r\n", last, true)
  return {
    from = lines,
    lines = sub(lines, 1, first) .. sub(lines, ending + 2),
    parent = Traceparent.read(sub(lines, last + 1, ending - 1)),
  }
end

--- The header lines of the handshake that an event carries. If it has a traceparent of its own, they have none.
---@param event Event
---@return string
function TraceContext.handshake_of(event)
  local context = event.trace_context
  return context and context.lines or event.handshake or event.connection.handshake
end

--- Makes the traceparent of a new span.
---@param trace_id string? of the trace to which it belongs; by default it begins a new one
---@param is_sampled boolean
---@return string
function TraceContext.new(trace_id, is_sampled)
  if used == GROUP then
    make_group()
  end
  local text = group + used * LENGTH
  used = used + 1
  if trace_id then
    ffi.copy(text + TRACE_AT, trace_id, #trace_id)
  end
  text[FLAG_AT] = is_sampled and YES or NO
  return ffi.string(text, LENGTH)
end

--- The id of the trace of an event.
---@param event Event
---@return string? trace_id nil if there are no traces
function TraceContext.trace_id(event) return event.traceparent and Traceparent.trace_id(event.traceparent) end

--- The id of an event, with that of its trace if it has one: the beginning of a line in the log.
---@param event Event
---@return string
function TraceContext.label(event)
  local trace_id = TraceContext.trace_id(event)
  return trace_id and event.id .. " trace " .. trace_id or event.id
end

return TraceContext
