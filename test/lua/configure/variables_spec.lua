local Config = require "framegate.config"
local cjson = require "cjson.safe"
local Variables = require "framegate.configure.variables"
local Ports = require "framegate.configure.ports"

local SECRET = "whsec_" .. ("QUJD"):rep(8) -- 24 bytes
local OTHER_SECRET = "whsec_" .. ("+/"):rep(42) .. "AA==" -- 64 bytes

-- For each variable: a text that is not its default, what it is read as, and a text that is refused.
local VALUES = {
  PORT = { "9000", 9000, "0" },
  PORTS = { "80 8081,9000", { 80, 8081, 9000 }, "80,http" },
  TLS_CERTIFICATE = { "/c.pem", "/c.pem", "c.pem", { TLS_CERTIFICATE_KEY = "/k.pem" } },
  TLS_CERTIFICATE_KEY = { "/k.pem", "/k.pem", "/a b.pem", { TLS_CERTIFICATE = "/c.pem" } },
  TLS_PORT = { "8443", 8443, "0" },
  TLS_REDIRECT = { "on", true, "maybe", { TLS_CERTIFICATE = "/c.pem", TLS_CERTIFICATE_KEY = "/k.pem" } },
  USER_NAME = { "www-data", "www-data", "no body" },
  NGINX = { "/opt/nginx", "/opt/nginx", "nginx" },
  SOCKET_PATH = { "/live/", "/live/", "live" },
  HANDLER_URL = { "http://a:1,http://b:2", { "http://a:1", "http://b:2" }, "http://a/path" },
  SITE_URL = { "https://example.com/", "https://example.com", "example.com" },
  SITE_TIMEOUT = { "30s", 30, "0" },
  SITE_STREAM_TIMEOUT = { "5m", 300, "0" },
  CONTROL_SOCKET = { "/run/c.sock", "/run/c.sock", "c.sock" },
  WORKERS = { "3", 3, "many" },
  WORKER_CONNECTIONS = { "64", 64, "63" },
  MAX_CONNECTIONS_PER_IP = { "off", 0, "-1" },
  TRUSTED_PROXIES = { "10.0.0.0/8 fd00::/8", { "10.0.0.0/8", "fd00::/8" }, "10.0.0.0/33" },
  ALLOWED_ORIGINS = { "https://A.example.com,*", { "https://a.example.com", "*" }, "a.example.com" },
  MAX_MESSAGE_BYTES = { "64k", 65536, "0" },
  COMPRESSION = { "off", false, "yes" },
  DIRECT_IO = { "off", false, "yes" },
  COMPRESSION_MIN_BYTES = { "0", 0, "2g" },
  MESSAGE_TIMEOUT = { "5m", 300, "0" },
  PING_INTERVAL = { "500ms", 0.5, "0" },
  IDLE_TIMEOUT = { "1m", 60, "0.1s" },
  HANDLER_SECRET = { SECRET .. ", " .. OTHER_SECRET, { SECRET, OTHER_SECRET }, "whsec_QUJD" },
  HANDLER_PROTOCOL = { "aws", "aws", "lambda" },
  HANDLER_AWS_ROUTES = {
    "join, $connect=On.Connect",
    { { key = "join" }, { key = "$connect", name = "On.Connect" } },
    "$other",
  },
  HANDLER_AWS_ROUTE_SELECTION = {
    "${request.body.a}/${request.body.b}",
    "${request.body.a}/${request.body.b}",
    "$request.header.a",
  },
  HANDLER_AWS_ROUTE_RESPONSE = { "off", false, "no" },
  GRIP_ISS = { "my issuer", "my issuer", "a\1b" },
  GRIP_KEY = { "base64:a2V5", "base64:a2V5", "base64:a" },
  HANDLER_TIMEOUT = { "2.5", 2.5, "0" },
  HANDLER_WAIT = { "0", 0, "-1" },
  MAX_ANSWER_BYTES = { "1k", 1024, "1023" },
  HANDLER_CONCURRENCY = { "1", 1, "4097" },
  STREAM_TIMEOUT = { "1h", 3600, "0" },
  STREAM_CONCURRENCY = { "1", 1, "4097" },
  OUTBOX_BYTES = { "1k", 1024, "1023" },
  SESSION_SECONDS = { "2m", 120, "25h" },
  SESSION_BYTES = { "1k", 1024, "1023" },
  MAX_DETACHED = { "0", 0, "-1" },
  DETACHED_BYTES = { "1k", 1024, "65g" },
  SITE_DRAIN = { "10m", 600, "25h" },
  STOP_SECONDS = { "20s", 20, "2h" },
  DRAIN_SECONDS = { "5m", 300, "-1" },
  MAX_TOPICS = { "1", 1, "0" },
  HISTORY = {
    "a=1/1m a:b=2/24h",
    { { prefix = "a:b", frames = 2, seconds = 86400 }, { prefix = "a", frames = 1, seconds = 60 } },
    "a",
  },
  HISTORY_BYTES = { "1m", 1048576, "1k" },
  CACHE_BYTES = { "1m", 1048576, "1k" },
  MESSAGE_RATE = { "0.5", 0.5, "fast" },
  CONTROL_PORT = { "127.0.0.1:9000", "127.0.0.1:9000", "65536", { CONTROL_TOKEN = ("t"):rep(16) } },
  CONTROL_TOKEN = { ("s"):rep(16), ("s"):rep(16), "short", { CONTROL_PORT = "9000" } },
  CONTROL_AWS_KEY_ID = {
    "AKIDEXAMPLE",
    { "AKIDEXAMPLE" },
    "a/b",
    { CONTROL_AWS_SECRET = ("s"):rep(16), CONTROL_PORT = "9000", CONTROL_TOKEN = ("t"):rep(16) },
  },
  CONTROL_AWS_SECRET = {
    ("a/+="):rep(10) .. " " .. ("s"):rep(16),
    { ("a/+="):rep(10), ("s"):rep(16) },
    "short",
    { CONTROL_AWS_KEY_ID = "one, two", CONTROL_PORT = "9000", CONTROL_TOKEN = ("t"):rep(16) },
  },
  TIMERS = {
    "10s /ws/tick,1.5m  /ws/a/digest",
    { { period = 10000, path = "/ws/tick" }, { period = 90000, path = "/ws/a/digest" } },
    "10s",
  },
  SOCKET_LOG = { "/var/log/sockets.log", "/var/log/sockets.log", "sockets.log" },
  OTEL_EXPORTER_OTLP_ENDPOINT = { "https://h:4318/otlp/", "https://h:4318/otlp/", "h:4318" },
  OTEL_EXPORTER_OTLP_HEADERS = {
    "api-key=a%2Cb,x = y z",
    { { name = "api-key", value = "a,b" }, { name = "x", value = "y z" } },
    "api-key",
  },
  OTEL_EXPORTER_OTLP_CERTIFICATE = { "/ca.pem", "/ca.pem", "ca.pem" },
  OTEL_SERVICE_NAME = { "chat", "chat", ("x"):rep(256) },
  OTEL_TRACES_SAMPLER_ARG = { "0.01", 0.01, "1.5" },
  REDIS_URL = { "redis://h/1", { host = "h", port = 6379, db = 1, is_tls = false }, "h:6379" },
  REDIS_CA = { "/ca.pem", "/ca.pem", "ca.pem", { REDIS_URL = "rediss://h" } },
  REDIS_SENTINELS = {
    "a,b:1",
    { { host = "a", port = 26379 }, { host = "b", port = 1 } },
    "a:0",
    { REDIS_URL = "redis://h", REDIS_MASTER = "m" },
  },
  REDIS_MASTER = { "m", "m", "a b", { REDIS_URL = "redis://h", REDIS_SENTINELS = "a" } },
  CLUSTER_NAME = { "c-1", "c-1", "a b" },
  NODE_NAME = { "n.1", "n.1", "a/b" },
  CLUSTER_WAIT = { "0", 0, "61" },
  CLUSTER_BUFFER = { "64k", 65536, "2g" },
  HANDSHAKE_HEADERS = { "X-Api-Key cookie x-api-key", { "x-api-key" }, "ce.type" },
  RECORD_HEADERS = { "Cookie X-A", { "cookie", "x-a" }, "a:b" },
}

-- The variable, and what it needs beside it.
local function with(name, text)
  local values = { [name] = text }
  for other, value in pairs(VALUES[name][4] or {}) do
    values[other] = value
  end
  return values
end

local function environment(values)
  return function(name) return values[name] end
end

local function read(values) return Variables.read(environment(values), "/run/framegate") end

-- The one problem that these values make.
local function problem(values)
  local settings, problems = read(values)
  assert.is_nil(settings)
  assert.are.equal(1, #problems, table.concat(problems, "\n"))
  return problems[1]
end

describe("the settings", function()
  it(
    "have these defaults",
    function()
      assert.are.same({
        PORT = 8080,
        PORTS = {},
        TLS_CERTIFICATE = "",
        TLS_CERTIFICATE_KEY = "",
        TLS_PORT = 443,
        TLS_REDIRECT = false,
        USER_NAME = "",
        NGINX = "",
        SOCKET_PATH = "/ws/",
        HANDLER_URL = { "http://unix:/run/framegate/handler/handler.sock" },
        SITE_URL = "http://unix:/run/framegate/internal/site.sock",
        SITE_TIMEOUT = 300,
        SITE_STREAM_TIMEOUT = 3600,
        CONTROL_SOCKET = "/run/framegate/control/control.sock",
        WORKERS = "auto",
        WORKER_CONNECTIONS = 16384,
        MAX_CONNECTIONS_PER_IP = 100,
        TRUSTED_PROXIES = {},
        ALLOWED_ORIGINS = {},
        MAX_MESSAGE_BYTES = 1048576,
        COMPRESSION = true,
        DIRECT_IO = true,
        COMPRESSION_MIN_BYTES = 1024,
        MESSAGE_TIMEOUT = 120,
        PING_INTERVAL = 25,
        IDLE_TIMEOUT = 60,
        HANDLER_SECRET = {},
        HANDLER_PROTOCOL = "framegate",
        HANDLER_AWS_ROUTES = {},
        HANDLER_AWS_ROUTE_SELECTION = "$request.body.action",
        HANDLER_AWS_ROUTE_RESPONSE = true,
        GRIP_ISS = "pushpin",
        GRIP_KEY = "changeme",
        HANDLER_TIMEOUT = 30,
        HANDLER_WAIT = 10,
        MAX_ANSWER_BYTES = 16777216,
        HANDLER_CONCURRENCY = 256,
        STREAM_TIMEOUT = 600,
        STREAM_CONCURRENCY = 512,
        OUTBOX_BYTES = 1048576,
        SESSION_SECONDS = 0,
        SESSION_BYTES = 1048576,
        MAX_DETACHED = 10000,
        DETACHED_BYTES = 268435456,
        SITE_DRAIN = 3600,
        STOP_SECONDS = 1,
        DRAIN_SECONDS = 0,
        MAX_TOPICS = 100,
        HISTORY = {},
        HISTORY_BYTES = 67108864,
        CACHE_BYTES = 16777216,
        MESSAGE_RATE = 0,
        TIMERS = {},
        CONTROL_PORT = "off",
        CONTROL_TOKEN = "",
        CONTROL_AWS_KEY_ID = {},
        CONTROL_AWS_SECRET = {},
        SOCKET_LOG = "off",
        OTEL_EXPORTER_OTLP_ENDPOINT = "",
        OTEL_EXPORTER_OTLP_HEADERS = {},
        OTEL_EXPORTER_OTLP_CERTIFICATE = "",
        OTEL_SERVICE_NAME = "framegate",
        OTEL_TRACES_SAMPLER_ARG = 1,
        REDIS_URL = "",
        REDIS_CA = "",
        REDIS_SENTINELS = {},
        REDIS_MASTER = "",
        CLUSTER_NAME = "framegate",
        NODE_NAME = "",
        CLUSTER_WAIT = 2,
        CLUSTER_BUFFER = 16777216,
        HANDSHAKE_HEADERS = {},
        RECORD_HEADERS = {
          "cookie",
          "authorization",
          "origin",
          "user-agent",
          "accept-language",
          "sec-websocket-protocol",
          "traceparent",
        },
      }, read {})
    end
  )

  it("are those that the table below tries, and each has a name only once", function()
    local tried, known = {}, {}
    for name in pairs(VALUES) do
      tried[#tried + 1] = name
    end
    for _, variable in ipairs(Variables.list) do
      known[#known + 1] = variable[1]
    end
    table.sort(tried)
    table.sort(known)
    assert.are.same(tried, known)
  end)

  for name, texts in pairs(VALUES) do
    it(name .. " is read", function()
      local settings = assert(read(with(name, texts[1])))
      local expected = read {}
      for other in pairs(texts[4] or {}) do
        expected[other] = settings[other]
      end
      expected[name] = texts[2]
      assert.are.same(expected, settings)
    end)

    it(name .. " that is empty counts as unset", function() assert.are.same(read {}, (read { [name] = "" })) end)

    it(name .. " that is wrong is refused by name, with the value and what was expected", function()
      local words = problem(with(name, texts[3]))
      local is_secret = name == "CONTROL_TOKEN"
        or name == "CONTROL_AWS_SECRET"
        or name == "GRIP_KEY"
        or name == "HANDLER_SECRET"
        or name == "OTEL_EXPORTER_OTLP_HEADERS"
        or name == "REDIS_URL"
      local shown = is_secret and "…" or texts[3]
      assert.are.equal(name .. "=" .. shown .. ": expected ", words:sub(1, #name + #shown + 12))
      assert.is_true(#words > #name + #shown + 20)
      assert.is_nil(words:find("\n") or words:find("nil") or words:find("%%"))
    end)
  end

  it("that are wrong are all told, in the order of the table", function()
    local settings, problems = read { PORT = "a", WORKERS = "b", OUTBOX_BYTES = "c", SITE_URL = "d" }
    assert.is_nil(settings)
    local names = {}
    for i, words in ipairs(problems) do
      names[i] = words:match("^[A-Z_]+")
    end
    assert.are.same({ "PORT", "SITE_URL", "WORKERS", "OUTBOX_BYTES" }, names)
  end)

  it("do not hold what nobody knows", function() assert.are.same(read {}, (read { PORTT = "1", port = "1" })) end)
end)

describe("settings that must fit together", function()
  it("a ping comes before the time when a silent peer is given up", function()
    for _, values in ipairs {
      { PING_INTERVAL = "60" },
      { PING_INTERVAL = "61s" },
      { IDLE_TIMEOUT = "25s" },
      { IDLE_TIMEOUT = "10" },
      { PING_INTERVAL = "5m", IDLE_TIMEOUT = "4m" },
      { PING_INTERVAL = "1s", IDLE_TIMEOUT = "1000ms" },
    } do
      local words = problem(values)
      assert.matches("^PING_INTERVAL=", words)
      assert.matches("IDLE_TIMEOUT", words)
    end
    assert.is_table((read { PING_INTERVAL = "59.9" }))
    assert.is_table((read { PING_INTERVAL = "100ms", IDLE_TIMEOUT = "200ms" }))
  end)

  it("are not compared when one of them is wrong by itself", function()
    assert.matches("^PING_INTERVAL=x:", problem { PING_INTERVAL = "x", IDLE_TIMEOUT = "1s" })
    assert.matches("^IDLE_TIMEOUT=x:", problem { PING_INTERVAL = "100", IDLE_TIMEOUT = "x" })
  end)

  it("a certificate has a key, and a redirect somewhere to go", function()
    assert.matches("^TLS_CERTIFICATE=/c: expected TLS_CERTIFICATE_KEY", problem { TLS_CERTIFICATE = "/c" })
    assert.matches("^TLS_CERTIFICATE_KEY=/k: expected TLS_CERTIFICATE ", problem { TLS_CERTIFICATE_KEY = "/k" })
    assert.matches("^TLS_REDIRECT=on: expected TLS_CERTIFICATE", problem { TLS_REDIRECT = "on" })
  end)

  it("each port is used once; PORTS stands for PORT", function()
    local tls = { TLS_CERTIFICATE = "/c", TLS_CERTIFICATE_KEY = "/k", TLS_PORT = "8080" }
    assert.matches("^TLS_PORT=8080: expected another port than that of PORT$", problem(tls))
    tls.PORTS = "80,81"
    assert.are.same({ 80, 81 }, Ports.plain((read(tls))))
    assert.are.same({ 8080 }, Ports.plain((read {})))
    assert.matches("^PORTS=81: expected each port once$", problem { PORTS = "81,80,81" })
    assert.matches(
      "^CONTROL_PORT=443: expected .* of TLS_PORT$",
      problem { TLS_CERTIFICATE = "/c", TLS_CERTIFICATE_KEY = "/k", CONTROL_PORT = "443", CONTROL_TOKEN = ("t"):rep(16) }
    )
    assert.is_table((read { TLS_PORT = "8080" }))
  end)

  it("each key of AWS has a secret, and there is a port for them", function()
    local function keys(ids, secrets)
      return {
        CONTROL_AWS_KEY_ID = ids,
        CONTROL_AWS_SECRET = secrets,
        CONTROL_PORT = "9000",
        CONTROL_TOKEN = ("t"):rep(16),
      }
    end
    local secret = ("s"):rep(16)
    assert.is_table((read(keys("a, b", secret .. " " .. secret))))
    for _, values in ipairs { keys("a", nil), keys(nil, secret), keys("a,b", secret), keys("a", secret .. "," .. secret) } do
      assert.matches("^CONTROL_AWS_SECRET=…: expected as many", problem(values))
    end
    local words = problem { CONTROL_AWS_KEY_ID = "a", CONTROL_AWS_SECRET = secret }
    assert.are.equal("CONTROL_AWS_KEY_ID=a: expected CONTROL_PORT beside it", words)
  end)

  it("handlers have weights, and speak HTTP or FastCGI", function()
    assert.are.same(
      { "http://a:1 weight=3", "http://b:2" },
      read({ HANDLER_URL = "http://a:1 weight=3, http://b:2 weight=1" }).HANDLER_URL
    )
    local php = "fastcgi://unix:/run/php.sock?script=/srv/a.php&keep=2"
    assert.are.same({ php }, read({ HANDLER_URL = php }).HANDLER_URL)
    assert.matches("^SITE_URL=.*expected http://host:port", problem { SITE_URL = php })
    assert.matches("^HANDLER_URL=.*expected weight=N", problem { HANDLER_URL = "http://a weight=0" })
  end)

  it("handlers are all reached in the same way", function()
    assert.matches("^HANDLER_URL=", problem { HANDLER_URL = "http://a:1,https://b:2" })
    assert.is_table((read { HANDLER_URL = "https://a:1,https://b:2" }))
    assert.is_table((read { HANDLER_URL = "http://a:1,http://unix:/b.sock" }))
  end)
end)

describe("settings.json", function()
  local folder

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder) == 0)
    local file = assert(io.open(folder .. "/settings.json", "w"))
    file:write(cjson.encode((read { PORT = "9000", HANDLER_URL = "http://a,http://b" })))
    file:close()
  end)

  teardown(function() os.execute("rm -r " .. folder) end)

  it("holds every setting, and a name that is misspelt is an error", function()
    local loaded = Config.load(folder)
    for name, value in pairs((read { PORT = "9000", HANDLER_URL = "http://a,http://b" })) do
      assert.are.same(value, loaded[name])
    end
    assert.has_error(function() return loaded.PROT end, "no such setting: PROT")
    assert.has_error(function() return Config.MAX_MESAGE_BYTES end, "no such setting: MAX_MESAGE_BYTES")
  end)

  it("that is not there is an error", function()
    assert.has_error(function() Config.load(folder .. "/nowhere") end)
  end)
end)
