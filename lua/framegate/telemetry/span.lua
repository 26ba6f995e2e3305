-- A span as OTLP has it in JSON (opentelemetry.io/docs/specs/otlp, opentelemetry-proto 1.x, trace.proto).

local cjson = require "cjson.safe"
local Utf8 = require "framegate.protocol.utf8"

local concat, find, format = table.concat, string.find, string.format

local Span = {}

--- Values of SpanKind: who waits for an answer, and who hands a message over.
Span.CLIENT, Span.PRODUCER = 3, 4

local ERROR = 2 -- StatusCode

-- Texts of strangers need not be UTF-8 (RFC 8259 section 8.1).
local function quote(text)
  local json = cjson.encode(text)
  return find(text, "[\128-\255]") and Utf8.scrub(json) or json
end

--- Writes attributes.
---@param list { [1]: string, [2]: string|integer|nil }[] in this order; those without a value are left out
---@return string JSON
function Span.attributes(list)
  local parts = {}
  for _, attribute in ipairs(list) do
    local key, value = attribute[1], attribute[2]
    if type(value) == "number" then
      parts[#parts + 1] = format('{"key":"%s","value":{"intValue":"%d"}}', key, value) -- 64 bits are a string
    elseif value then
      parts[#parts + 1] = '{"key":"' .. key .. '","value":{"stringValue":' .. quote(value) .. "}}"
    end
  end
  return "[" .. concat(parts, ",") .. "]"
end

---@class SpanFacts
---@field trace_id string
---@field span_id string
---@field parent Traceparent? the span that has caused it
---@field link Traceparent? a span of another trace to which it belongs
---@field name string
---@field kind integer
---@field ended integer in microseconds since 1970
---@field seconds number how long it took
---@field attributes table as `attributes` takes them
---@field failure string? why it failed; an empty text needs no words

--- Writes a span.
---@param facts SpanFacts
---@return string JSON
function Span.encode(facts)
  local ending = facts.ended
  local beginning = ending - math.floor(facts.seconds * 1000000)
  local parent, link, failure = facts.parent, facts.link, facts.failure
  return concat {
    '{"traceId":"',
    facts.trace_id,
    '","spanId":"',
    facts.span_id,
    parent and '","parentSpanId":"' .. parent.span_id or "",
    '","name":"',
    facts.name,
    format('","kind":%d,"startTimeUnixNano":"%.0f000","endTimeUnixNano":"%.0f000"', facts.kind, beginning, ending),
    ',"attributes":',
    Span.attributes(facts.attributes),
    link and ',"links":[{"traceId":"' .. link.trace_id .. '","spanId":"' .. link.span_id .. '"}]' or "",
    failure and ',"status":{"code":' .. ERROR .. ',"message":' .. quote(failure) .. "}" or "",
    "}",
  }
end

return Span
