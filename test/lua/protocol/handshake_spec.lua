local Handshake = require "framegate.protocol.handshake"

-- A handshake that is right; `changes` replaces headers (false takes one out) and fields of the request.
local function check(changes, fields)
  local headers = {
    host = "example.com",
    upgrade = "websocket",
    connection = "Upgrade",
    ["sec-websocket-version"] = "13",
    ["sec-websocket-key"] = "dGhlIHNhbXBsZSBub25jZQ==",
  }
  for name, value in pairs(changes or {}) do
    headers[name] = value or nil
  end
  local request = { method = "GET", http_version = 1.1, headers = headers, host = headers.host, allowed_origins = {} }
  for name, value in pairs(fields or {}) do
    request[name] = value
  end
  return Handshake.check(request)
end

local function refused(status, words, changes, fields)
  local refusal = check(changes, fields)
  assert.is_table(refusal, words)
  assert.are.equal(status, refusal.status)
  assert.matches(words, refusal.message, 1, true)
  assert.is_table(refusal.headers)
  return refusal
end

describe("a handshake", function()
  it("may go on when all is right", function() assert.is_nil(check()) end)

  it("may write what has no case in any case, and more words beside the one that counts", function()
    assert.is_nil(check { upgrade = "WebSocket", connection = "keep-alive, UPGRADE" })
    assert.is_nil(check { connection = "Upgrade,keep-alive" })
    assert.is_nil(check { connection = { "keep-alive", "Upgrade" } })
    assert.is_nil(check { upgrade = "h2c, websocket" })
    assert.is_nil(check { upgrade = { "h2c", "websocket" } })
  end)

  it("without Upgrade is a plain request, and is told what to do (RFC 9110 section 15.5.22)", function()
    for _, upgrade in ipairs { false, "", "h2c", "websockets", "web socket" } do
      local refusal = refused(426, "WebSocket", { upgrade = upgrade })
      assert.are.equal("websocket", refusal.headers.Upgrade)
      assert.are.equal("Upgrade", refusal.headers.Connection)
      assert.are.equal("13", refusal.headers["Sec-WebSocket-Version"])
    end
    refused(426, "WebSocket", { upgrade = false }, { method = "POST" })
  end)

  it("is a GET request", function()
    for _, method in ipairs { "POST", "HEAD", "PUT", "OPTIONS", "get" } do
      local refusal = refused(405, "GET", {}, { method = method })
      assert.are.equal("GET", refusal.headers.Allow)
    end
  end)

  it("is HTTP/1.1", function()
    refused(400, "HTTP/1.1", {}, { http_version = 1.0 })
    refused(400, "HTTP/1.1", {}, { http_version = 2.0 })
  end)

  it("has no body", function()
    for _, length in ipairs { "1", "5", "209715200", { "0", "0" }, "x" } do
      refused(400, "no body", { ["content-length"] = length })
    end
    refused(400, "no body", { ["transfer-encoding"] = "chunked" })
    refused(400, "Expect", { expect = "100-continue" })
    assert.is_nil(check { ["content-length"] = "0" })
  end)

  it("needs Connection: Upgrade", function()
    for _, connection in ipairs { false, "", "keep-alive", "upgraded", "close" } do
      refused(400, "Connection", { connection = connection })
    end
  end)

  it("is of version 13, and says so to others", function()
    for _, version in ipairs { false, "", "8", "12", "14", "013", "13, 8", { "13", "13" } } do
      local refusal = refused(426, "Sec-WebSocket-Version: 13", { ["sec-websocket-version"] = version })
      assert.are.equal("13", refusal.headers["Sec-WebSocket-Version"])
    end
  end)

  it("has a host", function()
    refused(400, "Host", { host = false })
    for _, host in ipairs {
      "",
      "user@host",
      "a?b",
      "[::1",
      "::1",
      "a:99999",
      "a:80:80",
      "a%zz",
      "[1.2.3.4]",
      { "a", "a" },
    } do
      refused(400, "Host", { host = host })
    end
    for _, host in ipairs { "a:", "a:0", "a_b.example:65535", "[2001:db8::1]", "a%C3%A9", "127.0.0.1:80" } do
      assert.is_nil(check { host = host })
    end
  end)

  it("has a key of 16 bytes, once", function()
    for _, key in ipairs {
      false,
      "",
      "short==",
      "dGhlIHNhbXBsZSBub25jZQ",
      "dGhlIHNhbXBsZSBub25jZQ=",
      "dGhlIHNhbXBsZSBub25jZQ===",
      "dGhlIHNhbXBsZSBub25jZTE=",
      "dGhlIHNhbXBsZSBub25jZTEy",
      "dGhlIHNhbXBsZSBub2 jZQ==",
      "dGhlIHNhbXBsZSBub2-jZQ==",
      "AQIDBAUGBwgJCgsMDQ4PEBESExQVFg==",
      { "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==" },
    } do
      refused(400, "Sec-WebSocket-Key", { ["sec-websocket-key"] = key })
    end
    assert.is_nil(check { ["sec-websocket-key"] = "AAAAAAAAAAAAAAAAAAAAAA==" })
    assert.is_nil(check { ["sec-websocket-key"] = "+/+/+/+/+/+/+/+/+/+/+w==" })
  end)
end)

describe("the origin", function()
  local function is_allowed(origin, host, allowed)
    local refusal = check({ origin = origin, host = host or "example.com" }, { allowed_origins = allowed or {} })
    if refusal then
      assert.are.equal(403, refusal.status)
      assert.are.equal(origin:lower(), refusal.origin)
      assert.matches("ALLOWED_ORIGINS", refusal.message)
      assert.matches(origin:lower(), refusal.message, 1, true)
    end
    return refusal == nil
  end

  it("need not be there: servers and apps have none", function() assert.is_nil(check()) end)

  it("of the same host is allowed, the default port filled in on both sides", function()
    for origin, host in pairs {
      ["https://example.com"] = "example.com",
      ["http://example.com"] = "example.com:80",
      ["https://example.com:443"] = "example.com",
      ["http://example.com:8080"] = "example.com:8080",
      ["https://EXAMPLE.com"] = "Example.COM",
      ["http://localhost:3000"] = "localhost:3000",
      ["http://127.0.0.1"] = "127.0.0.1",
      ["http://[::1]:8080"] = "[::1]:8080",
      ["https://[::1]"] = "[::1]:443",
    } do
      assert.is_true(is_allowed(origin, host), origin .. " at " .. host)
    end
    assert.is_true(is_allowed("https://example.com", "example.com:443"))
    assert.is_true(is_allowed("http://example.com", "example.com"))
  end)

  it("of another host or port is not", function()
    for _, pair in ipairs {
      { "https://evil.com", "example.com" },
      { "https://example.com.evil.com", "example.com" },
      { "https://evilexample.com", "example.com" },
      { "https://sub.example.com", "example.com" },
      { "https://example.com", "sub.example.com" },
      { "https://example.com:8443", "example.com" },
      { "https://example.com", "example.com:80" },
      { "http://example.com", "example.com:443" },
      { "http://example.com:80", "example.com:8080" },
      { "http://[::1]", "[::2]" },
      { "http://[::1]:1", "[::1]:2" },
    } do
      assert.is_false(is_allowed(pair[1], pair[2]), pair[1] .. " at " .. pair[2])
    end
  end)

  it("null is not, nor what is no origin", function()
    for _, origin in ipairs {
      "null",
      "NULL",
      "example.com",
      "https://",
      "file://",
      "https://example.com/",
      "https:example.com",
      "://example.com",
    } do
      assert.is_false(is_allowed(origin), origin)
    end
    assert.is_false(is_allowed("null", "null"))
  end)

  it("may be advised only if ALLOWED_ORIGINS takes it", function()
    for _, origin in ipairs { "null", "file://", "https://evil.example", "http://[::1]:8080", "chrome-extension://abc" } do
      assert.matches("add it", check({ origin = origin }).message)
      assert.is_true(is_allowed(origin, nil, { origin }))
    end
    for _, origin in ipairs { "example.com", "https://a/b", "a b", "https://a, https://b" } do
      assert.is_nil(check({ origin = origin }).message:match("add it"), origin)
    end
  end)

  it("that is listed is allowed, whatever its case", function()
    local list = { "https://app.example.org", "http://localhost:3000" }
    assert.is_true(is_allowed("https://app.example.org", nil, list))
    assert.is_true(is_allowed("HTTPS://App.Example.ORG", nil, list))
    assert.is_true(is_allowed("http://localhost:3000", nil, list))
    for _, origin in ipairs {
      "http://app.example.org",
      "https://app.example.org:8443",
      "https://example.org",
      "http://localhost",
      "null",
    } do
      assert.is_false(is_allowed(origin, nil, list), origin)
    end
  end)

  it("below a listed domain is allowed, not the domain itself nor one that only ends alike", function()
    local list = { "https://*.example.org", "http://*.local:8080" }
    assert.is_true(is_allowed("https://a.example.org", nil, list))
    assert.is_true(is_allowed("https://a.b.example.org", nil, list))
    assert.is_true(is_allowed("http://a.local:8080", nil, list))
    for _, origin in ipairs {
      "https://example.org",
      "https://.example.org",
      "http://many.example.org",
      "https://evilexample.org",
      "https://a.example.org:8443",
      "https://a.example.org.evil.com",
      "http://a.local",
      "null",
    } do
      assert.is_false(is_allowed(origin, nil, list), origin)
    end
  end)

  it("is never asked about with *", function()
    assert.is_true(is_allowed("https://anything.example", nil, { "*" }))
    assert.is_true(is_allowed("null", nil, { "*" }), "* says everybody")
  end)

  it(
    "may be there only once",
    function() refused(400, "Origin", { origin = { "https://example.com", "https://evil.com" } }) end
  )

  it("is compared with the host that the client sees, which a trusted proxy forwards", function()
    assert.is_nil(check({ origin = "https://public.example", host = "internal:8080" }, { host = "public.example" }))
    assert.are.equal(
      403,
      check({ origin = "https://internal:8080", host = "internal:8080" }, { host = "public.example" }).status
    )
  end)
end)

describe("a subprotocol", function()
  it("was offered when it is one word of the client's list", function()
    assert.is_true(Handshake.is_offered("chat", "chat"))
    assert.is_true(Handshake.is_offered("json, chat ,v2.chat", "chat"))
    assert.is_true(Handshake.is_offered({ "json", "chat, superchat" }, "superchat"))
  end)

  it("was not when it is part of one, or in another case, or a list itself", function()
    for _, chosen in ipairs { "cha", "chatt", "Chat", "chat, json", "chat,json", "", "json chat", ".*" } do
      assert.is_false(Handshake.is_offered("json, chat", chosen), chosen)
    end
    assert.is_false(Handshake.is_offered("a(b), a b", "a(b)"), "it is no token")
    assert.is_false(Handshake.is_offered(nil, "chat"))
    assert.is_false(Handshake.is_offered("", "chat"))
  end)
end)

describe("a request for an event stream", function()
  local STREAM = { accept = "text/event-stream", upgrade = false, connection = false, ["sec-websocket-key"] = false }

  local function with(more)
    local changes = {}
    for _, headers in ipairs { STREAM, more or {} } do
      for name, value in pairs(headers) do
        changes[name] = value
      end
    end
    return changes
  end

  it("may go on without the headers of a WebSocket", function()
    assert.is_nil(check(with()))
    assert.is_true(Handshake.is_for_stream { accept = "text/event-stream", upgrade = "h2c" })
  end)

  it("with Upgrade: websocket is a handshake as any other", function()
    assert.is_false(Handshake.is_for_stream { accept = "text/event-stream", upgrade = "websocket" })
    refused(400, "Sec-WebSocket-Key", { accept = "text/event-stream", ["sec-websocket-key"] = "x" })
  end)

  it("is a GET of HTTP/1.1 with a host and without a body", function()
    assert.are.equal("GET", refused(405, "GET", with(), { method = "HEAD" }).headers.Allow)
    refused(405, "GET", with(), { method = "POST" })
    refused(400, "HTTP/1.1", with(), { http_version = 1.0 })
    refused(400, "Host", with { host = false })
    refused(400, "body", with { ["content-length"] = "1" })
    refused(400, "Expect", with { expect = "100-continue" })
  end)

  it("has an origin that is allowed", function()
    assert.are.equal("origin", refused(403, "ALLOWED_ORIGINS", with { origin = "https://other.example" }).cause)
    assert.is_nil(check(with { origin = "https://example.com" }))
  end)

  it("without an Origin comes from no other site, as far as a browser reports that", function()
    for _, site in ipairs { "same-origin", "none" } do
      assert.is_nil(check(with { ["sec-fetch-site"] = site }))
    end
    for _, site in ipairs { "cross-site", "same-site", "other" } do
      assert.are.equal("origin", refused(403, "another origin", with { ["sec-fetch-site"] = site }).cause)
    end
    assert.is_nil(check(with { origin = "https://example.com", ["sec-fetch-site"] = "cross-site" }))
    assert.is_nil(check { ["sec-fetch-site"] = "cross-site" })
  end)
end)
