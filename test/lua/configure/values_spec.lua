local Values = require "framegate.configure.values"

local SIZES = { low = 1, high = 1024 * 1024 * 1024 }

-- `good` maps texts to values; every text of `bad` is refused with words that match `expected`.
local function check(parse, good, bad, expected)
  for text, value in pairs(good) do
    assert.are.same(value, (parse(text)), text)
  end
  for _, text in ipairs(bad) do
    local value, words = parse(text)
    assert.is_nil(value, ("%q is refused"):format(text))
    assert.is_string(words, ("%q is refused with words"):format(text))
    assert.matches(expected, words, 1, true)
  end
end

local function same(texts)
  local good = {}
  for _, text in ipairs(texts) do
    good[text] = text
  end
  return good
end

it("a whole number", function()
  check(
    Values.integer(1, 65535),
    { ["1"] = 1, ["80"] = 80, ["65535"] = 65535, ["0080"] = 80 },
    { "0", "65536", "-1", "+1", "1.5", "1e3", "0x10", "80 ", " 80", "80a", "abc", "", "99999999999999999999", "80\n" },
    "a whole number from 1 to 65535"
  )
  check(Values.integer(64, 1000000), { ["64"] = 64, ["1000000"] = 1000000 }, { "63", "1000001" }, "from 64 to 1000000")
end)

it(
  "a limit, which may be off",
  function()
    check(
      Values.limit(100),
      { ["off"] = 0, ["0"] = 0, ["1"] = 1, ["100"] = 100 },
      { "101", "-1", "OFF", "on", "none", "offf", "1k" },
      "a whole number from 0 to 100, or off"
    )
  end
)

it("a time", function()
  check(Values.duration(0.1, 86400), {
    ["30"] = 30,
    ["30s"] = 30,
    ["500ms"] = 0.5,
    ["100ms"] = 0.1,
    ["0.1"] = 0.1,
    ["0.1s"] = 0.1,
    ["1.5s"] = 1.5,
    ["2m"] = 120,
    ["24h"] = 86400,
    ["86400"] = 86400,
    ["1440m"] = 86400,
  }, {
    "0",
    "99ms",
    "0.09",
    "25h",
    "86401",
    "-5",
    "5d",
    "5 s",
    "5S",
    "s",
    "ms",
    ".5",
    "1e3",
    "1.2.3",
    "5sm",
    "abc",
    "",
    "30s\n",
  }, "a time from 0.1s to 86400s, such as 30, 30s, 500ms or 2m")
  check(Values.duration(0, 10), { ["0"] = 0, ["0s"] = 0, ["10000ms"] = 10 }, { "10001ms" }, "a time from 0s to 10s")
end)

it(
  "a size",
  function()
    check(
      Values.bytes(SIZES.low, SIZES.high),
      {
        ["1"] = 1,
        ["65536"] = 65536,
        ["64k"] = 65536,
        ["64K"] = 65536,
        ["16m"] = 16777216,
        ["16M"] = 16777216,
        ["1g"] = SIZES.high,
        ["1073741824"] = SIZES.high,
      },
      { "0", "2g", "1073741825", "1.5m", "64kb", "64 k", "k", "-1", "1t", "huge", "", "64k\n" },
      "a size from 1 to 1073741824 bytes, such as 65536, 64k or 16m"
    )
  end
)

it("a list", function()
  local numbers = Values.list(Values.integer(1, 9))
  check(
    numbers,
    { ["1"] = { 1 }, ["1,2"] = { 1, 2 }, ["1, 2 3"] = { 1, 2, 3 }, [" 1 ,\t2\n"] = { 1, 2 }, [",1,,2,"] = { 1, 2 } },
    { "1,x", "10", "1;2" },
    "a whole number from 1 to 9"
  )
end)

it("a list that names nothing is refused", function()
  for _, text in ipairs { ",", " ", " , ,\t" } do
    local value, words = Values.list(Values.url)(text)
    assert.is_nil(value, ("%q is refused"):format(text))
    assert.is_string(words)
  end
end)

it(
  "the path of sockets",
  function()
    check(Values.path, same { "/ws/", "/a/b/", "/~me/ws-1.0_x/", "/.well-known/ws/" }, {
      "/",
      "ws/",
      "/ws",
      "ws",
      "",
      "/w s/",
      "/ws/;",
      "/ws/{",
      "/ws/$a/",
      "/ws/?a/",
      "/ws/#/",
      "/w%20s/",
      "/ws/\n",
      "/\195\177/",
    }, "a path that begins and ends with a slash")
  end
)

it("the path of sockets is one that a request can have", function()
  -- nginx merges slashes and resolves dots before it looks for a location.
  check(Values.path, {}, { "//", "/ws//", "//ws/", "/a//b/", "/../", "/./", "/a/../b/", "/a/./" }, "a path")
end)

it("the file of a unix socket", function()
  local longest = "/" .. ("a"):rep(106)
  check(
    Values.socket_file,
    same { "/run/framegate/control.sock", longest },
    { "control.sock", "./a.sock", "", longest .. "a" },
    "an absolute path of at most 107 bytes"
  )
end)

it(
  "the file of a unix socket is a name that nginx can take",
  function()
    check(
      Values.socket_file,
      {},
      { "/a b.sock", "/a;b", "/a{b", "/a}b", "/a'b", '/a"b', "/a$b", "/a\\b", "/a\nb" },
      "an absolute path"
    )
  end
)

it("a URL", function()
  local longest = "http://unix:/" .. ("a"):rep(106)
  local good = same {
    "http://handler:3000",
    "http://handler",
    "https://example.com",
    "https://example.com:8443",
    "http://127.0.0.1:80",
    "http://[::1]:3000",
    "http://[fd00::1]",
    "https://[::ffff:10.0.0.1]:1",
    "http://a_b-c.d:65535",
    "http://unix:/run/h.sock",
    longest,
  }
  good["http://handler:3000/"] = "http://handler:3000"
  good["https://example.com/"] = "https://example.com"
  check(Values.url, good, {
    "handler:3000",
    "handler",
    "ftp://a",
    "ws://a",
    "//a",
    "http://",
    "http:///",
    "http://a/path",
    "http://a:3000/p",
    "http://a:",
    "http://a:/",
    "http://[::1]:",
    "http://a:0",
    "http://a:65536",
    "http://a:port",
    "http://a:1:2",
    "http://a b",
    "http://a?x",
    "http://user@a",
    "http://a;",
    "http://::1",
    "http://[::1",
    "http://[::1]x",
    "http://[g]",
    "https://unix:/a.sock",
    "http://unix:a.sock",
    "http://unix:",
    "",
  }, "http://host:port, https://host:port or http://unix:/path/to.sock")
  for _, text in ipairs {
    "http://unix:/a b",
    "http://unix:/a;b",
    "http://unix:/a{b",
    "http://unix:/a'b",
    'http://unix:/a"b',
    longest .. "a",
  } do
    local value, words = Values.url(text)
    assert.is_nil(value, text)
    assert.is_string(words)
  end
end)

it(
  "an address or a network",
  function()
    check(
      Values.network,
      same {
        "10.0.0.0/8",
        "192.168.1.1",
        "0.0.0.0/0",
        "172.17.0.1/32",
        "fd00::/8",
        "::1",
        "::/0",
        "2001:db8::1/128",
        "::ffff:10.0.0.1",
      },
      {
        "10.0.0.0/33",
        "fd00::/129",
        "10.0.0",
        "10.0.0.0.0",
        "example.com",
        "10.0.0.0/a",
        "10.0.0.0/-1",
        "10.0.0.0;",
        "/8",
        "",
        "abc",
        "10",
      },
      "addresses or networks separated by commas"
    )
  end
)

it(
  "an address or a network that there is",
  function()
    check(Values.network, {}, { "256.0.0.1", "10.0.0.999", "1.2.3.4/", "fd00::/", ":", ":::" }, "addresses or networks")
  end
)

it("an origin", function()
  local good = same {
    "*",
    "https://example.com",
    "http://localhost:3000",
    "https://*.example.com",
    "http://*.example.com:8080",
    "http://[::1]:3000",
    "http://127.0.0.1",
    "chrome-extension://abcdefgh",
    "file://",
    "null",
  }
  good["HTTPS://Example.COM"] = "https://example.com"
  check(Values.origin, good, {
    "example.com",
    "https://",
    "https://example.com/",
    "https://example.com/path",
    "https://a.*.com",
    "*.example.com",
    "**",
    "file:",
    "",
    "https://exa mple.com",
    "https://user@example.com",
    "https://example.com:port",
    "https://*",
    "//example.com",
  }, "origins separated by commas")
end)

it("where to listen besides", function()
  local good = same { "9000", "127.0.0.1:9000", "0.0.0.0:1", "[::1]:9000", "[::]:65535", "off" }
  good["0"] = "off"
  check(Values.listen_or_off, good, {
    "65536",
    "http",
    ":9000",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:0",
    "127.0.0.1:65536",
    "127.0.0.256:9000",
    "::1:9000",
    "[::1]9000",
    "[127.0.0.1]:9000",
    "[::1]",
    "[g]:1",
    "localhost:9000",
    "127.0.0.1 9000",
    "127.0.0.1/8:9000",
    "-1",
    "9000;",
    "",
  }, "127.0.0.1:9000 or [::1]:9000, or off")
end)

it(
  "a number of workers",
  function()
    check(
      Values.workers,
      { ["auto"] = "auto", ["1"] = 1, ["128"] = 128 },
      { "0", "129", "AUTO", "two", "-1", "1.5", "" },
      "auto or a whole number from 1 to 128"
    )
  end
)

it(
  "a file",
  function()
    check(
      Values.file,
      same { "/c.pem", "/etc/letsencrypt/live/example.com/fullchain.pem" },
      { "", "c.pem", "./c.pem", "~/c.pem", "/a b", "/a;b", "/a{b", "/a$b", "/a'b", '/a"b', "/a\\b", "/a\nb" },
      "an absolute path"
    )
  end
)

it(
  "a user's name",
  function()
    check(
      Values.user,
      same { "www-data", "_apt", "framegate", "ada.l" },
      { "", "-x", "33", "a b", "a;b", "$(id)", "a\nb", ("a"):rep(33) },
      "the name of a user"
    )
  end
)

it(
  "a switch",
  function() check(Values.switch, { on = true, off = false }, { "", "ON", "1", "yes", "true" }, "on or off") end
)
