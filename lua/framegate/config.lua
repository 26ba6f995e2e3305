-- Every variable framegate's gateway reads, with its default: docs/operating.md lists the same names.
-- `configure.lua` reads the environment once, before nginx starts, and writes run/settings.json;
-- inside nginx `Config.load` takes that file, so a reload sees what was checked and nothing else.

local Parse = require "framegate.parse"
local Ports = require "framegate.ports"

local Config = {}

local DAY = 86400
local GIB = 1024 * 1024 * 1024

-- A default that is a function is given the run directory.
Config.variables = {
  { "PORT", Parse.integer(1, 65535), 8080 },
  { "PORTS", Parse.list(Parse.integer(1, 65535)), {} },
  { "TLS_CERTIFICATE", Parse.file, "" },
  { "TLS_CERTIFICATE_KEY", Parse.file, "" },
  { "TLS_PORT", Parse.integer(1, 65535), 443 },
  { "TLS_REDIRECT", Parse.switch, false },
  { "USER_NAME", Parse.user, "" },
  { "SOCKET_PATH", Parse.path, "/ws/" },
  {
    "HANDLER_URL",
    Parse.list(Parse.url),
    function(run) return { "http://unix:" .. run .. "/handler/handler.sock" } end,
  },
  { "SITE_URL", Parse.url, function(run) return "http://unix:" .. run .. "/internal/site.sock" end },
  { "CONTROL_SOCKET", Parse.socket_file, function(run) return run .. "/control/control.sock" end },
  { "WORKERS", Parse.workers, "auto" },
  { "WORKER_CONNECTIONS", Parse.integer(64, 1000000), 16384 },
  { "MAX_CONNECTIONS_PER_IP", Parse.limit(65535), 100 },
  { "TRUSTED_PROXIES", Parse.list(Parse.network), {} },
  { "ALLOWED_ORIGINS", Parse.list(Parse.origin), {} },
  { "MAX_MESSAGE_BYTES", Parse.bytes(1, GIB), 1024 * 1024 },
  { "MESSAGE_TIMEOUT", Parse.duration(0.1, DAY), 120 },
  { "PING_INTERVAL", Parse.duration(0.1, DAY), 25 },
  { "IDLE_TIMEOUT", Parse.duration(0.2, DAY), 60 },
  { "HANDLER_TIMEOUT", Parse.duration(0.1, DAY), 30 },
  { "HANDLER_WAIT", Parse.duration(0, DAY), 10 },
  { "HANDLER_CONCURRENCY", Parse.integer(1, 4096), 256 },
  { "OUTBOX_BYTES", Parse.bytes(1024, GIB), 1024 * 1024 },
  { "DRAIN_SECONDS", Parse.duration_or_off(DAY), 0 },
  { "MAX_TOPICS", Parse.integer(1, 10000), 100 },
  { "MESSAGE_RATE", Parse.rate, 0 },
  { "CONTROL_PORT", Parse.listen_or_off, "off" },
  { "CONTROL_TOKEN", Parse.token, "" },
  { "SOCKET_LOG", Parse.log, "off" },
}

-- Never shown in a message.
local SECRET = { CONTROL_TOKEN = true }

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
  local schemes = {}
  for _, url in ipairs(settings.HANDLER_URL or {}) do
    schemes[url:match("^%a+")] = true
  end
  if schemes.http and schemes.https then
    problems[#problems + 1] = "HANDLER_URL="
      .. table.concat(settings.HANDLER_URL, ",")
      .. ": expected all http or all https"
  end
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
---@param environment fun(name: string): string? as os.getenv; an empty value counts as unset
---@param run string the run directory, absolute
---@return table? settings by variable name: seconds, bytes, texts and lists
---@return string[]? problems one line for each value that is refused
function Config.read(environment, run)
  local settings, problems = {}, {}
  for _, variable in ipairs(Config.variables) do
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

--- The settings of this nginx, read once from run/settings.json. A misspelt name is an error.
---@param prefix string the run directory, as `ngx.config.prefix()` gives it
---@return table settings
function Config.load(prefix)
  local file = assert(io.open(prefix .. "/settings.json"))
  local settings = require("cjson.safe").decode(file:read("*a"))
  file:close()
  for name, value in pairs(settings) do
    Config[name] = value
  end
  return setmetatable(Config, {
    __index = function(_, name) error("no such setting: " .. tostring(name), 2) end,
  })
end

return Config
