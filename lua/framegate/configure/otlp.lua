-- Reads the variables of OpenTelemetry that say where spans go (opentelemetry.io/docs/specs/otel/protocol/exporter).

local UpstreamUrl = require "framegate.protocol.upstream_url"

local Otlp = {}

local MAX_NAME = 255 -- bytes
local SHARE = "a share from 0 to 1, such as 0.01"
local NAMED = "a name and no address in https://, by which the certificate is checked"
local HEADERS = "headers as name=value, separated by commas, with values percent-encoded"
local NAME = ("text of at most %d bytes on one line"):format(MAX_NAME)
-- Headers that the gateway itself sets.
local OWN =
  { host = true, connection = true, ["content-type"] = true, ["content-length"] = true, ["transfer-encoding"] = true }

--- Reads the address of a collector.
---@param text string
---@return string? url
---@return string? expected in words
function Otlp.endpoint(text)
  local target, expected = UpstreamUrl.with_path(text)
  if target and target.has_tls and not target.tls_name then
    return nil, NAMED
  end
  return target and text, expected
end

--- Reads which share of events and pushes is sampled.
---@param text string
---@return number?
---@return string? expected in words
function Otlp.share(text)
  local value = text:match("^%d*%.?%d+$") and tonumber(text)
  if not value or value > 1 then
    return nil, SHARE
  end
  return value
end

--- Reads the name of the service.
---@param text string
---@return string?
---@return string? expected in words
function Otlp.name(text)
  if text:find("%c") or #text > MAX_NAME then
    return nil, NAME
  end
  return text
end

local function decode(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

--- Reads headers for the collector: `api-key=secret,x-tenant=a%20b`.
---@param text string
---@return { name: string, value: string }[]?
---@return string? expected in words
function Otlp.headers(text)
  local headers = {}
  for item in text:gmatch("[^,]+") do
    local name, value = item:match("^%s*([%w!#$&'*+%-.^_`|~]+)%s*=%s*(.-)%s*$")
    value = value and decode(value)
    if not value or value:find("%c") or OWN[name:lower()] then
      return nil, HEADERS
    end
    headers[#headers + 1] = { name = name, value = value }
  end
  return headers[1] and headers, HEADERS
end

--- Whether the collector has TLS.
---@param settings table as Variables.read returns it
---@return boolean
function Otlp.has_tls(settings) return settings.OTEL_EXPORTER_OTLP_ENDPOINT:find("^https:") ~= nil end

--- Checks what fits together: nginx has one list of authorities for Redis and the collector.
---@param settings table whose REDIS_URL is a table
---@param problems string[] one line for each problem is added
function Otlp.check(settings, problems)
  local file, redis = settings.OTEL_EXPORTER_OTLP_CERTIFICATE, settings.REDIS_URL
  if not settings.OTEL_EXPORTER_OTLP_ENDPOINT or not file or type(redis) ~= "table" or not settings.REDIS_CA then
    return
  elseif Otlp.has_tls(settings) and redis.is_tls and file ~= settings.REDIS_CA then
    problems[#problems + 1] = ("OTEL_EXPORTER_OTLP_CERTIFICATE=%s: expected the file of REDIS_CA, with both authorities in it"):format(
      file
    )
  end
end

return Otlp
