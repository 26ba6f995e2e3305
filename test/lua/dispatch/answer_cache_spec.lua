local Stub = require "support.ngx"
local AnswerCache = require "framegate.dispatch.answer_cache"
local Dictionary = require "support.dictionary"

local function asker(changes)
  local connection = {
    path = "/ws/prices",
    handshake = "host: a\r\nx-tenant: t\r\naccept-language: de\r\nx-forwarded-proto: http\r\n",
    options = {},
  }
  for name, value in pairs(changes or {}) do
    connection[name] = value
  end
  return connection
end

local function answer(body, headers)
  local made = {
    status = 200,
    body = body,
    headers = { ["content-type"] = "text/plain", ["cache-control"] = "public, max-age=5" },
  }
  for name, value in pairs(headers or {}) do
    made.headers[name] = value
  end
  return made
end

describe("the cache of answers", function()
  local cache, dict

  before_each(function()
    Stub.now = 0
    dict = Dictionary.new()
    cache = AnswerCache.new { dict = dict, bytes = 16000, headers = { "x-tenant" } }
  end)

  local function ask(changes, payload, is_text)
    local connection = asker(changes)
    return cache:find(cache:question(connection, payload or "now?", is_text ~= false), connection.handshake)
  end

  local function keep(given, changes)
    local connection = asker(changes)
    return cache:keep(cache:question(connection, "now?", true), connection.handshake, given)
  end

  it("finds what was kept, until it is stale", function()
    assert.is_nil((ask()))
    assert.is_true(keep(answer "42"))
    Stub.now = 4.9
    assert.are.same({ { payload = "42", is_text = true } }, (ask()))
    Stub.now = 5
    assert.is_nil((ask()))
  end)

  it("finds all frames of an answer, and none of an empty one", function()
    local document = '{"effects":[{"send":{"text":"1:2"}},{"send":{"base64":"AAo="}},{"send":{"text":""}}]}'
    assert.is_true(keep(answer(document, { ["content-type"] = "application/vnd.framegate.effects+json" })))
    assert.are.same({
      { payload = "1:2", is_text = true },
      { payload = "\0\n", is_text = false },
      { payload = "", is_text = true },
    }, (ask()))
    assert.is_true(keep { status = 204, body = "", headers = { ["cache-control"] = "public, max-age=5" } })
    assert.are.same({}, (ask()))
  end)

  it("distinguishes everything on which an answer may depend", function()
    keep(answer "42", { user = "ann", state = "a" })
    local same = { user = "ann", state = "a" }
    assert.is_truthy((ask(same)))
    assert.is_nil((ask(same, "now?", false)))
    assert.is_nil((ask(same, "now? ")))
    for name, value in pairs {
      user = "bob",
      state = "b",
      path = "/ws/prices?x",
      options = { text_mode = "json" },
      handshake = "host: b\r\nx-tenant: t\r\naccept-language: de\r\nx-forwarded-proto: http\r\n",
    } do
      assert.is_nil((ask { user = "ann", state = "a", [name] = value }), name)
    end
    assert.is_nil((ask { user = "ann", state = "a", options = { handler = "http://b" } }))
    assert.is_nil((ask { state = "a" }))
    assert.is_nil((ask { user = "ann" }))
    assert.is_nil((ask { user = "ann\n=a" }))
  end)

  it("takes no question for another with the same digest", function()
    local sha1_bin = ngx.sha1_bin
    rawset(ngx, "sha1_bin", function() return "the same" end)
    keep(answer "42")
    local found, other = ask(), ask({}, "then?")
    rawset(ngx, "sha1_bin", sha1_bin)
    assert.is_truthy(found)
    assert.is_nil(other)
  end)

  it("finds an answer with vary only for equal headers", function()
    local other = "host: a\r\nx-tenant: t\r\naccept-language: fr\r\nx-forwarded-proto: http\r\n"
    local none = "host: a\r\nx-tenant: t\r\nx-forwarded-proto: http\r\n"
    assert.is_true(keep(answer("de", { vary = "Accept-Language, x-tenant" })))
    assert.is_true(keep(answer("fr", { vary = "accept-language, X-Tenant" }), { handshake = other }))
    assert.are.equal("de", (ask())[1].payload)
    assert.are.equal("fr", (ask { handshake = other })[1].payload)
    assert.is_nil((ask { handshake = none }))
    local _, first = ask { handshake = none }
    local _, second = ask { handshake = none .. "accept-language: \r\n" }
    assert.are_not.equal(first, second)
  end)

  it("keeps no answer that depends on a header that events do not have", function()
    for _, vary in ipairs { "*", "x-other", "accept-language, x-other", "ce-connectionid", "a b(" } do
      assert.is_false(keep(answer("x", { vary = vary })), vary)
    end
    assert.is_true(keep(answer("x", { vary = "accept-encoding, ce-user, ce-state, content-type" })))
    assert.is_truthy((ask()))
  end)

  it("keeps nothing that takes more than a sixteenth of the memory", function()
    assert.is_nil(cache:question(asker(), ("x"):rep(1001), true))
    assert.is_false(keep(answer(("x"):rep(1000))))
    assert.are.same({}, dict.values)
  end)

  it("lets one worker claim a question", function()
    local question = cache:question(asker(), "now?", true)
    assert.is_true(cache:claim(question, "a", 30))
    assert.is_false(cache:claim(question, "b", 30))
    assert.are.equal("a", cache:owner(question))
    cache:release(question, "b")
    assert.are.equal("a", cache:owner(question))
    cache:release(question, "a")
    assert.is_nil(cache:owner(question))
    cache:claim(question, "a", 30)
    Stub.now = 30
    assert.is_true(cache:claim(question, "b", 30))
  end)
end)
