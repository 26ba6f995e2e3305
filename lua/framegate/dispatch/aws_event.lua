-- The JSON of an event as API Gateway gives it to a function of Lambda (Lambda proxy integration of a WebSocket API).
-- https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-integrations.html

local cjson = require "cjson.safe"
local Clock = require "framegate.runtime.clock"
local Percent = require "framegate.protocol.percent"
local TraceContext = require "framegate.telemetry.trace_context"
local Utf8 = require "framegate.protocol.utf8"

local AwsEvent = {}

local API_ID = "framegate"
local TYPES = { open = "CONNECT", message = "MESSAGE", close = "DISCONNECT" }

-- Browsers and most programs write the names of headers so, and API Gateway passes names as they come.
local function written(name)
  name = name:gsub("%f[%w]%l", string.upper)
  return (name:gsub("^Sec%-Websocket", "Sec-WebSocket"):gsub("^Dnt$", "DNT"))
end

-- A header of the handshake. JSON is UTF-8 (RFC 8259 section 8.1), but the header of a stranger may not be.
local function header_of(handshake, name)
  local value = ("\r\n" .. handshake):match("\r\n" .. name .. ": ([^\r]*)")
  return value and Utf8.scrub(value)
end

local function add_headers(document, handshake)
  local headers, lists = {}, {}
  for name, value in handshake:gmatch "([^:\r\n]+): ([^\r\n]*)\r\n" do
    if name ~= "ce-transport" then
      name = written(name)
      headers[name], lists[name] = value, { value }
    end
  end
  document.headers, document.multiValueHeaders = headers, lists
end

-- Header lines that an event behind `$connect` needs.
local SHOWN = {
  host = true,
  ["user-agent"] = true,
  traceparent = true,
  ["x-forwarded-for"] = true,
  ["x-forwarded-proto"] = true,
  ["x-forwarded-host"] = true,
  ["ce-transport"] = true,
}

-- A client that comes back to its session must send these as before (socket/resumption.lua).
local COMPARED = { origin = true, cookie = true, authorization = true }

local function selected(handshake, is_wanted)
  return (handshake:gsub("([^:\r\n]+): [^\r\n]*\r\n", function(name) return not is_wanted(name) and "" or nil end))
end

local function shown(handshake)
  return selected(handshake, function(name) return SHOWN[name] end)
end

--- Selects the header lines that an open socket keeps. A stranger may send many others.
---@param handshake string header lines
---@return string
function AwsEvent.kept(handshake)
  return selected(handshake, function(name) return SHOWN[name] or COMPARED[name] end)
end

-- The header lines of the handshake, with the event's own traceparent in place of that of the handshake.
local function lines_of(event)
  local lines, traceparent = TraceContext.handshake_of(event), event.traceparent
  return traceparent and lines .. "traceparent: " .. traceparent .. "\r\n" or lines
end

local function decode(text) return Percent.decode((text:gsub("%+", " "))) end

-- Of a name that comes more than once, the last value counts.
local function add_query(document, path)
  local query = path:match "%?(.+)$"
  if not query then
    return
  end
  local values, lists = {}, {}
  for pair in query:gmatch "[^&]+" do
    local name, value = pair:match "^([^=]*)=?(.*)$"
    name, value = decode(name), decode(value)
    values[name], lists[name] = value, lists[name] or {}
    lists[name][#lists[name] + 1] = value
  end
  document.queryStringParameters, document.multiValueQueryStringParameters = values, lists
end

local function add_body(document, event)
  document.isBase64Encoded = not event.is_text
  document.body = event.is_text and event.body or ngx.encode_base64(event.body)
end

-- When a socket was opened, in milliseconds since 1970. That of a killed worker has no traffic.
local function opened_of(connection)
  local opened = connection.traffic and connection.traffic.opened or connection.opened
  return math.floor(opened * 1000 + 0.5)
end

local function context_of(event, route_key)
  local connection, now = event.connection, Clock.unix_milliseconds()
  local handshake = connection.handshake
  return {
    routeKey = route_key,
    eventType = TYPES[event.kind],
    messageDirection = "IN",
    connectionId = connection.id,
    connectedAt = opened_of(connection),
    requestId = event.id,
    extendedRequestId = event.id,
    messageId = event.kind == "message" and event.id or nil,
    requestTime = os.date("!%d/%b/%Y:%H:%M:%S +0000", math.floor(now / 1000)),
    requestTimeEpoch = now,
    apiId = API_ID,
    domainName = header_of(handshake, "host"),
    stage = connection.path:match "^/([^/?]*)",
    identity = {
      sourceIp = header_of(handshake, "x%-forwarded%-for"),
      userAgent = header_of(handshake, "user%-agent"),
    },
  }
end

--- Writes an event.
---@param event Event open, message or close
---@param route_key string
---@return string json
function AwsEvent.encode(event, route_key)
  local context = context_of(event, route_key)
  local document = { requestContext = context, isBase64Encoded = false }
  if event.kind == "message" then
    add_body(document, event)
    return cjson.encode(document)
  end
  if event.kind == "open" then
    add_headers(document, lines_of(event))
    add_query(document, event.connection.path)
  else
    add_headers(document, shown(lines_of(event)))
    context.disconnectStatusCode = event.ended.code
    context.disconnectReason = Percent.decode(event.ended.reason)
  end
  return Utf8.scrub(cjson.encode(document))
end

return AwsEvent
