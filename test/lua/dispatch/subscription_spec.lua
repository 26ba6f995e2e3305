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
