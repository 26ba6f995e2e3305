local RedisUrl = require "framegate.configure.redis_url"

local function url(fields)
  fields.db, fields.is_tls = fields.db or 0, fields.is_tls or false
  return fields
end

describe("REDIS_URL", function()
  it("has host, port, login and database", function()
    for text, expected in pairs {
      ["redis://redis"] = url { host = "redis", port = 6379 },
      ["redis://10.0.0.1:7000/"] = url { host = "10.0.0.1", port = 7000 },
      ["rediss://r.example.com/2"] = url { host = "r.example.com", port = 6379, db = 2, is_tls = true },
      ["redis://[::1]:7000/15"] = url { host = "[::1]", port = 7000, db = 15 },
      ["redis://[::1]"] = url { host = "[::1]", port = 6379 },
      ["redis://:secret@h"] = url { host = "h", port = 6379, password = "secret" },
      ["redis://me@h"] = url { host = "h", port = 6379, user = "me", password = "" },
      ["redis://me:p%40ss:w%2Frd@h:1/3"] = url { host = "h", port = 1, user = "me", password = "p@ss:w/rd", db = 3 },
      ["redis://me:p@ss@h"] = url { host = "h", port = 6379, user = "me", password = "p@ss" },
      ["redis://me:x@"] = url { user = "me", password = "x" },
      ["redis://:x@/4"] = url { password = "x", db = 4 },
      ["redis:///1"] = url { db = 1 },
      ["unix:/run/redis.sock"] = url { path = "/run/redis.sock" },
      ["unix:///run/redis.sock"] = url { path = "/run/redis.sock" },
      ["unix:/run/redis.sock?db=3"] = url { path = "/run/redis.sock", db = 3 },
    } do
      assert.are.same(expected, RedisUrl.parse(text), text)
    end
  end)

  it("is refused when it is anything else", function()
    for _, text in ipairs {
      "redis:6379",
      "http://redis",
      "redis://",
      "redis://h:0",
      "redis://h:65536",
      "redis://h:",
      "redis://h/x",
      "redis://h/1/2",
      "redis://h/65536",
      "redis://h?db=1",
      "redis://h;x",
      "redis://a b",
      "redis://[::1",
      "redis://::1",
      "unix:redis.sock",
      "unix:/a b",
      "unix:/a?db=x",
      "unix:/a?x=1",
      "unix:/" .. ("a"):rep(107),
    } do
      local value, expected = RedisUrl.parse(text)
      assert.is_nil(value, text)
      assert.matches("^redis://", expected)
    end
  end)
end)

it("a Sentinel has a host, and a port unless it is the usual one", function()
  assert.are.same({ host = "s", port = 26379 }, RedisUrl.sentinel "s")
  assert.are.same({ host = "[::1]", port = 1 }, RedisUrl.sentinel "[::1]:1")
  for _, text in ipairs { "", "redis://s", "s:", "s:0", "a b", "s:x" } do
    assert.is_nil(RedisUrl.sentinel(text), text)
  end
end)

describe("together", function()
  local function combine(text, others)
    local settings = { REDIS_URL = text == "" and "" or RedisUrl.parse(text), REDIS_CA = "", REDIS_MASTER = "" }
    settings.REDIS_SENTINELS = {}
    for name, value in pairs(others or {}) do
      settings[name] = value
    end
    local problems = {}
    RedisUrl.combine(settings, problems)
    return settings.REDIS_URL, problems
  end

  local SENTINELS = { REDIS_SENTINELS = { { host = "s", port = 1 } }, REDIS_MASTER = "m" }

  it("the Sentinels are in place of a host", function()
    assert.are.same({ "", {} }, { combine "" })
    assert.are.same(url { sentinels = SENTINELS.REDIS_SENTINELS, master = "m" }, (combine("", SENTINELS)))
    local both = combine("redis://:x@/4", SENTINELS)
    assert.are.same(url { password = "x", db = 4, sentinels = SENTINELS.REDIS_SENTINELS, master = "m" }, both)
  end)

  it("they have to fit", function()
    local function problem(text, others)
      local _, problems = combine(text, others)
      assert.are.equal(1, #problems)
      return problems[1]
    end
    assert.matches("expected REDIS_MASTER", problem("", { REDIS_SENTINELS = SENTINELS.REDIS_SENTINELS }))
    assert.matches("^REDIS_MASTER=m: expected REDIS_SENTINELS", problem("redis://h", { REDIS_MASTER = "m" }))
    assert.matches("expected a host", problem "redis://:secret@")
    assert.matches("expected redis://", problem("unix:/a", SENTINELS))
    assert.matches("^REDIS_CA=/ca: expected rediss://", problem("redis://h", { REDIS_CA = "/ca" }))
    assert.matches("^REDIS_CA=/ca: expected rediss://", problem("", { REDIS_CA = "/ca" }))
  end)
end)
