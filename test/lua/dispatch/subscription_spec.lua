require "support.ngx"
local cjson = require "cjson.safe"
local Subscription = require "framegate.dispatch.subscription"

describe("a subscription with history", function()
  local function same(expected, effect) assert.are.same(expected, effect) end

  it(
    "is read from a header",
    function()
      same({
        kind = "subscribe",
        topics = { "plain", "a;b" },
        histories = {
          { topic = "chat:1", last = 50 },
          { topic = "news, all", after = "e.1.2", otherwise = "last", last = 3 },
        },
      }, Subscription.of_header "plain, chat:1;last=50,news%2C%20all ; after=e.1.2;else=last; last=3, a%3Bb")
    end
  )

  it("is read from a document", function()
    local list = cjson.decode '["plain", {"topic":"bare"}, {"topic":"chat;1","last":50,"after":null}]'
    same(
      { kind = "subscribe", topics = { "plain", "bare" }, histories = { { topic = "chat;1", last = 50 } } },
      Subscription.of_list(list)
    )
  end)

  it("is read from a query", function()
    same(
      { topic = "t", last = 5, after = "e.1", otherwise = "none" },
      Subscription.of_query("t", { last = "5", after = "e.1", ["else"] = "none", other = "x" })
    )
    same({ topic = "t" }, Subscription.of_query("t", {}))
    for _, query in ipairs { { last = "0" }, { last = "0x5" }, { last = "" }, { ["else"] = "last" } } do
      assert.is_nil((Subscription.of_query("t", query)))
    end
  end)

  it("is put last, unless the answer ends it further on", function()
    local function kinds(effects)
      local list = {}
      for i, effect in ipairs(Subscription.put_last(effects)) do
        list[i] = effect.kind .. (effect.wanted and " " .. effect.wanted.topic or "")
      end
      return table.concat(list, ", ")
    end
    local function subscribe(...)
      local effect = { kind = "subscribe", topics = {}, histories = {} }
      for i, topic in ipairs { ... } do
        effect.histories[i] = { topic = topic, last = 1 }
      end
      return effect
    end
    local ended = { kind = "unsubscribe", topics = { "a" } }
    assert.are.equal(
      "subscribe, unsubscribe, send, follow b, close",
      kinds { subscribe("a", "b"), ended, { kind = "send" }, { kind = "close" } }
    )
    assert.are.equal("unsubscribe, subscribe, follow a", kinds { ended, subscribe "a" })
    assert.are.equal("subscribe, unsubscribe, subscribe, follow a", kinds { subscribe "a", ended, subscribe "a" })
  end)

  it("is refused when it is wrong", function()
    for _, header in ipairs {
      ";last=1",
      "a;last",
      "a;last=",
      "a;last=0",
      "a;last=1.5",
      "a;last=many",
      "a;first=1",
      "a;else=last",
      "a;last=1;else=none",
      "a;after=x;else=all",
    } do
      local effect, err = Subscription.of_header(header)
      assert.is_nil(effect, header)
      assert.is_string(err)
    end
    for _, text in ipairs {
      "[1]",
      '[{"last":1}]',
      '[{"topic":"a","last":"1"}]',
      '[{"topic":"a","after":1}]',
      '[{"topic":"a","before":"x"}]',
    } do
      local effect, err = Subscription.of_list(cjson.decode(text))
      assert.is_nil(effect, text)
      assert.is_string(err)
    end
  end)
end)
