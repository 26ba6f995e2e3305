-- Every variable that the gateway reads, with its default. docs/operating.md lists the same names.
-- configure.lua reads them once, before nginx starts.

local AwsKeys = require "framegate.configure.aws_keys"
local AwsRoutes = require "framegate.configure.aws_routes"
local ClusterValues = require "framegate.configure.cluster_values"
local Dialect = require "framegate.configure.dialect"
local HandlerSecrets = require "framegate.configure.handler_secrets"
local HandshakeHeaders = require "framegate.configure.handshake_headers"
local HistoryRules = require "framegate.configure.history_rules"
local Values = require "framegate.configure.values"
local Ports = require "framegate.configure.ports"
local Otlp = require "framegate.configure.otlp"
local RedisUrl = require "framegate.configure.redis_url"
local Timers = require "framegate.configure.timers"

local Variables = {}

local DAY = 86400
local GIB = 1024 * 1024 * 1024

-- A default may be a function, which gets the run directory.
Variables.list = {
  { "PORT", Values.integer(1, 65535), 8080 },
  { "PORTS", Values.list(Values.integer(1, 65535)), {} },
  { "TLS_CERTIFICATE", Values.file, "" },
  { "TLS_CERTIFICATE_KEY", Values.file, "" },
  { "TLS_PORT", Values.integer(1, 65535), 443 },
  { "TLS_REDIRECT", Values.switch, false },
  { "USER_NAME", Values.user, "" },
  { "NGINX", Values.file, "" },
  { "SOCKET_PATH", Values.path, "/ws/" },
  {
    "HANDLER_URL",
    Values.handlers,
    function(run) return { "http://unix:" .. run .. "/handler/handler.sock" } end,
  },
  { "SITE_URL", Values.url, function(run) return "http://unix:" .. run .. "/internal/site.sock" end },
  { "SITE_TIMEOUT", Values.duration(1, DAY), 300 },
  { "SITE_STREAM_TIMEOUT", Values.duration(1, DAY), 3600 },
  { "CONTROL_SOCKET", Values.socket_file, function(run) return run .. "/control/control.sock" end },
  { "WORKERS", Values.workers, "auto" },
  { "WORKER_CONNECTIONS", Values.integer(64, 1000000), 16384 },
  { "MAX_CONNECTIONS_PER_IP", Values.limit(65535), 100 },
  { "TRUSTED_PROXIES", Values.list(Values.network), {} },
  { "ALLOWED_ORIGINS", Values.list(Values.origin), {} },
  { "MAX_MESSAGE_BYTES", Values.bytes(1, GIB), 1024 * 1024 },
  { "COMPRESSION", Values.switch, true },
  { "COMPRESSION_MIN_BYTES", Values.bytes(0, GIB), 1024 },
  { "DIRECT_IO", Values.switch, true },
  { "MESSAGE_TIMEOUT", Values.duration(0.1, DAY), 120 },
  { "PING_INTERVAL", Values.duration(0.1, DAY), 25 },
  { "IDLE_TIMEOUT", Values.duration(0.2, DAY), 60 },
  { "HANDSHAKE_HEADERS", HandshakeHeaders.parse, {} },
  { "HANDLER_SECRET", HandlerSecrets.parse, {} },
  { "HANDLER_PROTOCOL", Dialect.name, "framegate" },
  { "HANDLER_AWS_ROUTES", AwsRoutes.parse, {} },
  { "HANDLER_AWS_ROUTE_SELECTION", AwsRoutes.expression, "$request.body.action" },
  { "HANDLER_AWS_ROUTE_RESPONSE", Values.switch, true },
  { "GRIP_ISS", Dialect.issuer, "pushpin" },
  { "GRIP_KEY", Dialect.key, "changeme" },
  { "HANDLER_TIMEOUT", Values.duration(0.1, DAY), 30 },
  { "HANDLER_WAIT", Values.duration(0, DAY), 10 },
  { "MAX_ANSWER_BYTES", Values.bytes(1024, GIB), 16 * 1024 * 1024 },
  { "CACHE_BYTES", Values.bytes(1024 * 1024, GIB), 16 * 1024 * 1024 },
  { "HANDLER_CONCURRENCY", Values.integer(1, 4096), 256 },
  { "STREAM_TIMEOUT", Values.duration(0.1, DAY), 600 },
  { "STREAM_CONCURRENCY", Values.integer(1, 4096), 512 },
  { "OUTBOX_BYTES", Values.bytes(1024, GIB), 1024 * 1024 },
  { "SESSION_SECONDS", Values.duration_or_off(DAY), 0 },
  { "SESSION_BYTES", Values.bytes(1024, GIB), 1024 * 1024 },
  { "MAX_DETACHED", Values.integer(0, 1000000), 10000 },
  { "DETACHED_BYTES", Values.bytes(1024, 64 * GIB), 256 * 1024 * 1024 },
  { "SITE_DRAIN", Values.duration(1, DAY), 3600 },
  { "STOP_SECONDS", Values.duration(0, 3600), 1 },
  { "DRAIN_SECONDS", Values.duration_or_off(DAY), 0 },
  { "MAX_TOPICS", Values.integer(1, 10000), 100 },
  { "HISTORY", HistoryRules.parse, {} },
  { "HISTORY_BYTES", Values.bytes(1024 * 1024, 64 * GIB), 64 * 1024 * 1024 },
  { "MESSAGE_RATE", Values.rate, 0 },
  { "TIMERS", Timers.parse, {} },
  { "CONTROL_PORT", Values.listen_or_off, "off" },
  { "CONTROL_TOKEN", Values.token, "" },
  { "CONTROL_AWS_KEY_ID", AwsKeys.ids, {} },
  { "CONTROL_AWS_SECRET", AwsKeys.secrets, {} },
  { "SOCKET_LOG", Values.log, "off" },
  { "OTEL_EXPORTER_OTLP_ENDPOINT", Otlp.endpoint, "" },
  { "OTEL_EXPORTER_OTLP_CERTIFICATE", Values.file, "" },
  { "OTEL_EXPORTER_OTLP_HEADERS", Otlp.headers, {} },
  { "OTEL_SERVICE_NAME", Otlp.name, "framegate" },
  { "OTEL_TRACES_SAMPLER_ARG", Otlp.share, 1 },
  { "REDIS_URL", RedisUrl.parse, "" },
  { "REDIS_CA", Values.file, "" },
  { "REDIS_SENTINELS", Values.list(RedisUrl.sentinel), {} },
  { "REDIS_MASTER", ClusterValues.name, "" },
  { "CLUSTER_NAME", ClusterValues.name, "framegate" },
  { "NODE_NAME", ClusterValues.name, "" },
  { "CLUSTER_WAIT", Values.duration(0, 60), 2 },
  { "CLUSTER_BUFFER", Values.bytes(0, GIB), 16 * 1024 * 1024 },
  {
    "RECORD_HEADERS",
    ClusterValues.headers,
    { "cookie", "authorization", "origin", "user-agent", "accept-language", "sec-websocket-protocol", "traceparent" },
  },
}

-- Variables whose values never appear in a message.
local SECRET = {
  GRIP_KEY = true,
  HANDLER_SECRET = true,
  CONTROL_TOKEN = true,
  CONTROL_AWS_SECRET = true,
  OTEL_EXPORTER_OTLP_HEADERS = true,
  REDIS_URL = true,
}

local function check_tls(settings, problems)
  local certificate, key = settings.TLS_CERTIFICATE, settings.TLS_CERTIFICATE_KEY
  if certificate == "" and key and key ~= "" then
    problems[#problems + 1] = "TLS_CERTIFICATE_KEY=" .. key .. ": expected TLS_CERTIFICATE beside it"
  elseif key == "" and certificate and certificate ~= "" then
    problems[#problems + 1] = "TLS_CERTIFICATE=" .. certificate .. ": expected TLS_CERTIFICATE_KEY beside it"
  elseif certificate == "" and settings.TLS_REDIRECT then
    problems[#problems + 1] = "TLS_REDIRECT=on: expected TLS_CERTIFICATE and TLS_CERTIFICATE_KEY beside it"
  end
end

local function check_together(settings, problems)
  check_tls(settings, problems)
  Ports.check(settings, problems)
  RedisUrl.combine(settings, problems)
  Otlp.check(settings, problems)
  Timers.check(settings, problems)
  AwsKeys.check(settings, problems)
  local port, token = settings.CONTROL_PORT, settings.CONTROL_TOKEN
  if port and token and port ~= "off" and token == "" then
    problems[#problems + 1] = ("CONTROL_PORT=%s: expected CONTROL_TOKEN beside it"):format(port)
  elseif port == "off" and token and token ~= "" then
    problems[#problems + 1] = "CONTROL_TOKEN=…: expected CONTROL_PORT beside it"
  end
  if settings.PING_INTERVAL and settings.IDLE_TIMEOUT and settings.PING_INTERVAL >= settings.IDLE_TIMEOUT then
    problems[#problems + 1] = ("PING_INTERVAL=%gs: expected a time below IDLE_TIMEOUT (%gs)"):format(
      settings.PING_INTERVAL,
      settings.IDLE_TIMEOUT
    )
  end
end

--- Reads and checks every variable.
---@param environment fun(name: string): string? like os.getenv; an empty value counts as unset
---@param run string the run directory, absolute
---@return table? settings by variable name: seconds, bytes, strings and lists
---@return string[]? problems one line for each refused value
function Variables.read(environment, run)
  local settings, problems = {}, {}
  for _, variable in ipairs(Variables.list) do
    local name, parse, default = variable[1], variable[2], variable[3]
    local text = environment(name)
    if text and text ~= "" then
      local value, expected = parse(text)
      if value == nil then
        problems[#problems + 1] = ("%s=%s: expected %s"):format(name, SECRET[name] and "…" or text, expected)
      end
      settings[name] = value
    else
      settings[name] = type(default) == "function" and default(run) or default
    end
  end
  check_together(settings, problems)
  if #problems > 0 then
    return nil, problems
  end
  return settings
end

return Variables
