require "support.ngx"
local Effects = require "framegate.dispatch.effects"

local function read(headers, body, status)
  return Effects.read { status = status or 200, headers = headers, body = body or "" }
end

local function refused(words, ...)
  local effects, err = read(...)
  assert.is_nil(effects, words)
  assert.matches(words, err, 1, true)
end

local function document(body) return read({ ["content-type"] = "application/vnd.framegate.effects+json" }, body) end

local function document_refused(words, body)
  refused(words, { ["content-type"] = "application/vnd.framegate.effects+json" }, body)
end

describe("the body of an answer", function()
  it("is a text frame when its content type says so, else a binary one", function()
    for content_type, is_text in pairs {
      ["text/plain"] = true,
      ["text/plain; charset=utf-8"] = true,
      ["text/html"] = true,
      ["TEXT/PLAIN"] = true,
      ["application/json"] = true,
      ["application/json; charset=utf-8"] = true,
      ["Application/JSON"] = true,
      ["application/octet-stream"] = false,
      ["image/png"] = false,
      ["application/x-www-form-urlencoded"] = false,
      ["application/textual"] = false,
      ["x-text/plain"] = false,
    } do
      assert.are.same(
        { { kind = "send", payload = "hello", is_text = is_text } },
        read({ ["content-type"] = content_type }, "hello"),
        content_type
      )
    end
    assert.are.same({ { kind = "send", payload = "hello", is_text = false } }, read({}, "hello"))
  end)

  it("that is empty is an empty frame when there is a content type", function()
    for content_type, is_text in pairs {
      ["text/plain"] = true,
      ["application/json; charset=utf-8"] = true,
      ["application/octet-stream"] = false,
    } do
      for _, status in ipairs { 200, 201, 299 } do
        assert.are.same(
          { { kind = "send", payload = "", is_text = is_text } },
          read({ ["content-type"] = content_type }, "", status)
        )
      end
    end
  end)

  it("that is empty sends nothing without a content type, with PHP's own, with 204, and with an error", function()
    assert.are.same({}, read({}, ""))
    assert.are.same({}, read({ ["content-type"] = "text/html; charset=UTF-8" }, ""))
    assert.are.same({}, read({ ["content-type"] = "Text/HTML" }, ""))
    assert.are.same({}, read({}, "", 204))
    assert.are.same({}, read({ ["content-type"] = "text/plain" }, "", 204))
    for _, status in ipairs { 302, 404, 500 } do
      assert.are.same({}, read({ ["content-type"] = "text/plain" }, "", status))
    end
  end)

  it("is sent whatever the status: an error is the client's to see", function()
    for _, status in ipairs { 200, 201, 299, 302, 400, 404, 500, 503 } do
      assert.are.same(
        { { kind = "send", payload = "{}", is_text = true } },
        read({ ["content-type"] = "application/json" }, "{}", status)
      )
    end
  end)

  it("is UTF-8 when it is text", function()
    refused("UTF-8", { ["content-type"] = "text/plain" }, "\255")
    refused("UTF-8", { ["content-type"] = "application/json" }, '"\237\160\128"')
    assert.are.equal("\255", read({ ["content-type"] = "image/png" }, "\255")[1].payload)
    assert.are.equal("\226\130\172", read({ ["content-type"] = "text/plain" }, "\226\130\172")[1].payload)
  end)
end)

describe("ws-subscribe and ws-unsubscribe", function()
  it("name topics, percent-encoded, with commas between them", function()
    assert.are.same(
      { { kind = "subscribe", topics = { "a", "room:1", "caf\195\169, 100%" } } },
      read { ["ws-subscribe"] = "a, room:1 ,caf%C3%A9%2C%20100%25" }
    )
    assert.are.same({ { kind = "unsubscribe", topics = { "a" } } }, read { ["ws-unsubscribe"] = "a" })
  end)

  it(
    "may come several times",
    function()
      assert.are.same(
        { { kind = "subscribe", topics = { "a", "b", "c" } } },
        read { ["ws-subscribe"] = { "a", "b, c" } }
      )
    end
  )

  it(
    "that are both there: first what ends, then what begins",
    function()
      assert.are.same(
        { { kind = "unsubscribe", topics = { "a" } }, { kind = "subscribe", topics = { "b" } } },
        read { ["ws-subscribe"] = "b", ["ws-unsubscribe"] = "a" }
      )
    end
  )

  it("refuse what is no topic", function()
    assert.are.same({ { kind = "subscribe", topics = { ("t"):rep(255) } } }, read { ["ws-subscribe"] = ("t"):rep(255) })
    refused("a topic is 1 to 255 bytes of UTF-8", { ["ws-subscribe"] = ("t"):rep(256) })
    refused("a topic is 1 to 255 bytes of UTF-8", { ["ws-subscribe"] = ("%C3%A9"):rep(128) })
    refused("a topic is 1 to 255 bytes of UTF-8", { ["ws-subscribe"] = "good, %FF" })
    refused("a topic is 1 to 255 bytes of UTF-8", { ["ws-unsubscribe"] = "%ED%A0%80" })
  end)
end)

describe("ws-state and ws-user", function()
  it("are decoded; empty ones are kept, to remove", function()
    assert.are.same(
      { { kind = "state", value = '{"name": "Zo\195\171"}' } },
      read { ["ws-state"] = "{%22name%22:%20%22Zo%C3%AB%22}" }
    )
    assert.are.same({ { kind = "user", value = "Zo\195\171" } }, read { ["ws-user"] = "Zo%C3%AB" })
    assert.are.same(
      { { kind = "state", value = "" }, { kind = "user", value = "" } },
      read { ["ws-state"] = "", ["ws-user"] = "" }
    )
  end)

  it("have bounds, before they were encoded", function()
    assert.are.equal(4096, #read({ ["ws-state"] = ("%20"):rep(4096) })[1].value)
    refused("ws-state is a text of at most 4096 bytes", { ["ws-state"] = ("x"):rep(4097) })
    assert.are.equal(255, #read({ ["ws-user"] = ("u"):rep(255) })[1].value)
    refused("ws-user is a text of at most 255 bytes", { ["ws-user"] = ("u"):rep(256) })
  end)
end)

describe("ws-close", function()
  it("has a code, and may have a reason", function()
    assert.are.same({ { kind = "close", code = 1000, reason = "" } }, read { ["ws-close"] = "1000" })
    assert.are.same({ { kind = "close", code = 4001, reason = "sign in" } }, read { ["ws-close"] = "4001 sign%20in" })
    assert.are.same(
      { { kind = "close", code = 3000, reason = "caf\195\169 now" } },
      read { ["ws-close"] = " 3000  caf%C3%A9 now" }
    )
  end)

  it("takes the codes that a browser could close with", function()
    for _, value in ipairs {
      "1001",
      "1005",
      "1011",
      "999",
      "2999",
      "5000",
      "0",
      "40000",
      "",
      "bye",
      "-4000",
      "reason 4000",
    } do
      refused("ws-close takes the code 1000 or 3000 to 4999", { ["ws-close"] = value })
    end
    assert.are.equal(4999, read({ ["ws-close"] = "4999" })[1].code)
  end)

  it("comes behind the body, when that is of a success", function()
    local headers = { ["content-type"] = "text/plain", ["ws-close"] = "4000 bye" }
    local close = { kind = "close", code = 4000, reason = "bye" }
    assert.are.same(
      { { kind = "send", payload = "last words", is_text = true }, close },
      read(headers, "last words", 201)
    )
    for _, status in ipairs { 302, 403, 500 } do
      assert.are.same({ close }, read(headers, "for people", status))
    end
  end)
end)

describe("an alarm", function()
  it("is a number of seconds, up to a year", function()
    for text, seconds in pairs { ["0"] = 0, ["30"] = 30, ["0.25"] = 0.25, ["1."] = 1, ["31536000"] = 31536000 } do
      assert.are.same({ { kind = "alarm", seconds = seconds } }, read { ["ws-alarm"] = text })
    end
    assert.are.same({ { kind = "alarm", seconds = 0.5 } }, document '{"effects":[{"alarm":0.5}]}')
  end)

  it("is nothing else", function()
    for _, text in ipairs { "", "-1", "soon", "1e3", "0x10", "1,2", "31536001", "inf", "nan", ".5", "1 s" } do
      refused("ws-alarm is a number of seconds", { ["ws-alarm"] = text })
    end
    for _, value in ipairs { '"30"', "-1", "null", "[]", "1e9", "true" } do
      document_refused("effect 1: ws-alarm", '{"effects":[{"alarm":' .. value .. "}]}")
    end
  end)
end)

describe("many headers", function()
  it("are applied before the frame, the close last", function()
    local effects = read({
      ["ws-close"] = "4000",
      ["ws-user"] = "u",
      ["ws-state"] = "s",
      ["ws-alarm"] = "1.5",
      ["ws-subscribe"] = "t",
      ["ws-unsubscribe"] = "o",
      ["content-type"] = "text/plain",
    }, "frame")
    local kinds = {}
    for i, effect in ipairs(effects) do
      kinds[i] = effect.kind
    end
    assert.are.same({ "unsubscribe", "subscribe", "state", "user", "alarm", "send", "close" }, kinds)
  end)

  it(
    "are refused as a whole when one is wrong",
    function() refused("ws-close", { ["ws-subscribe"] = "good", ["ws-close"] = "1" }, "frame") end
  )
end)

describe("an effects document", function()
  it(
    "is applied in its order",
    function()
      assert.are.same(
        {
          { kind = "send", payload = "h\195\169llo", is_text = true },
          { kind = "send", payload = "\0\255", is_text = false },
          { kind = "publish", topic = "room 1", payload = "hi", is_text = true, except_self = true },
          { kind = "publish", topic = "b", payload = "\1", is_text = false, except_self = false },
          { kind = "subscribe", topics = { "a", "b, c" } },
          { kind = "unsubscribe", topics = { "d" } },
          { kind = "state", value = "s" },
          { kind = "user", value = "u" },
          { kind = "close", code = 4000, reason = "bye" },
        },
        document [[{"effects":[
      {"send":{"text":"h\u00e9llo"}},
      {"send":{"base64":"AP8="}},
      {"publish":{"topic":"room 1","text":"hi","except":"self"}},
      {"publish":{"topic":"b","base64":"AQ=="}},
      {"subscribe":["a","b, c"]},
      {"unsubscribe":["d"]},
      {"state":"s"},
      {"user":"u"},
      {"close":{"code":4000,"reason":"bye"}}]}]]
      )
    end
  )

  it("may be empty, and is not a frame itself", function() assert.are.same({}, document '{"effects":[]}') end)

  it("may have parameters in its content type, and any case", function()
    local body = '{"effects":[{"send":{"text":""}}]}'
    for _, content_type in ipairs {
      "application/vnd.framegate.effects+json; charset=utf-8",
      "Application/VND.Framegate.Effects+JSON",
    } do
      assert.are.same(
        { { kind = "send", payload = "", is_text = true } },
        read({ ["content-type"] = content_type }, body)
      )
    end
  end)

  it("that is none is refused", function()
    for _, body in ipairs {
      "",
      "not json",
      "{}",
      "[]",
      "1",
      "null",
      '{"effects":1}',
      '{"effects":"send"}',
      '{"effects":[}',
    } do
      document_refused('an effects document is {"effects":[…]}', body)
    end
  end)

  it("with an effect that nobody knows is refused, and it is named", function()
    document_refused("effect 1 is unknown: explode", '{"effects":[{"explode":{}}]}')
    document_refused("effect 2 is unknown: Send", '{"effects":[{"send":{"text":"a"}},{"Send":{"text":"a"}}]}')
    document_refused("effect 1 is unknown", '{"effects":[{}]}')
    document_refused('an effects document is {"effects":[…]}', '{"effects":{"1":{"send":{"text":"a"}}}}')
    document_refused("effect 1: subscribe takes a list of topics", '{"effects":[{"subscribe":{"1":"lobby"}}]}')
    document_refused("effect 1: unsubscribe takes a list of topics", '{"effects":[{"unsubscribe":"lobby"}]}')
    document_refused("effect 1: ws-close takes the code", '{"effects":[{"close":{"code":4001.5}}]}')
    document_refused("effect 1: ws-close takes the code", '{"effects":[{"close":{"code":NaN}}]}')
  end)

  it("with something wrong in an effect is refused, and its number is told", function()
    for body, words in pairs {
      ['{"send":{}}'] = "effect 1: send needs text or base64",
      ['{"send":"text"}'] = "effect 1: send needs text or base64",
      ['{"send":{"text":1}}'] = "effect 1: send needs text or base64",
      ['{"send":{"text":null}}'] = "effect 1: send needs text or base64",
      ['{"send":null}'] = "effect 1: send needs text or base64",
      ['{"send":{"base64":"!"}}'] = "effect 1: send needs text or base64",
      ['{"publish":{"topic":"a"}}'] = "effect 1: publish needs text or base64",
      ['{"publish":{"text":"a"}}'] = "effect 1: a topic is",
      ['{"publish":{"text":"a","topic":""}}'] = "effect 1: a topic is",
      ['{"publish":{"text":"a","topic":null}}'] = "effect 1: a topic is",
      ['{"subscribe":[""]}'] = "effect 1: a topic is",
      ['{"subscribe":["a",1]}'] = "effect 1: a topic is",
      ['{"subscribe":["a",null]}'] = "effect 1: a topic is",
      ['{"close":{}}'] = "effect 1: ws-close takes the code",
      ['{"close":{"code":1001}}'] = "effect 1: ws-close takes the code",
      ['{"close":{"code":4000.5}}'] = "effect 1: ws-close takes the code",
      ['{"close":{"code":"bye"}}'] = "effect 1: ws-close takes the code",
      ['{"close":{"code":null}}'] = "effect 1: ws-close takes the code",
      ['{"state":1}'] = "effect 1: ws-state is a text",
      ['{"state":null}'] = "effect 1: ws-state is a text",
      ['{"user":{}}'] = "effect 1: ws-user is a text",
    } do
      document_refused(words, '{"effects":[' .. body .. "]}")
    end
    document_refused("send.text is UTF-8", '{"effects":[{"send":{"text":"\255"}}]}')
    document_refused("publish.text is UTF-8", '{"effects":[{"publish":{"topic":"a","text":"\237\160\128"}}]}')
    document_refused("effect 2: send needs", '{"effects":[{"send":{"text":"a"}},{"send":{}}]}')
  end)

  -- What a handler in another language may well write. An answer must never throw in the gateway.
  for body, what in pairs {
    ['{"effects":["close"]}'] = "an effect that is a text",
    ['{"effects":[null]}'] = "an effect that is null",
    ['{"effects":[1]}'] = "an effect that is a number",
    ['{"effects":[{"close":4000}]}'] = "a close that is only its code",
    ['{"effects":[{"close":null}]}'] = "a close that is null",
    ['{"effects":[{"close":{"code":4000,"reason":{}}}]}'] = "a reason that is an object",
    ['{"effects":[{"close":{"code":4000,"reason":1}}]}'] = "a reason that is a number",
    ['{"effects":[{"subscribe":"a"}]}'] = "a topic that is not in a list",
    ['{"effects":[{"unsubscribe":null}]}'] = "topics that are null",
    ['{"effects":{"send":{"text":"a"}}}'] = "effects that are an object and no list",
    ['{"effects":[{"send":{"text":"a"},"close":{"code":4000}}]}'] = "two effects in one object",
  } do
    it("with " .. what .. " is refused in words", function()
      local ok, effects, err = pcall(document, body)
      assert.is_true(ok, "it throws: " .. tostring(effects))
      assert.is_nil(effects)
      assert.is_string(err)
    end)
  end

  it(
    "whose close has null as its reason closes without one",
    function()
      assert.are.same(
        { { kind = "close", code = 4000, reason = "" } },
        document '{"effects":[{"close":{"code":4000,"reason":null}}]}'
      )
    end
  )
end)
