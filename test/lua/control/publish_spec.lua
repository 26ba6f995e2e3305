require "support.ngx"
local cjson = require "cjson.safe"
local Config = require "framegate.config"
local Dictionary = require "support.dictionary"

describe("POST /publish", function()
  local Publish, pushed

  before_each(function()
    rawset(ngx.shared, "seen", Dictionary.new())
    rawset(Config, "MAX_MESSAGE_BYTES", 1000)
    for _, name in ipairs { "cluster.last_items", "control.sequencer", "control.publish" } do
      package.loaded["framegate." .. name] = nil
    end
    Publish = require "framegate.control.publish"
    pushed = {}
    local function to_many(_, op, args, message)
      pushed[#pushed + 1] = { op = op, topic = args.topic, item = args.item, message = message }
      return { delivered = 1, dropped = 0 }
    end
    Publish.wire { push = { to_many = to_many } }
  end)

  after_each(function() rawset(Config, "MAX_MESSAGE_BYTES", nil) end)

  it("pushes each item with the key and the traceparent of the request", function()
    local items = {
      { channel = "a", formats = { ["ws-message"] = { content = "hi" } } },
      { channel = "b", formats = { ["ws-message"] = { action = "refresh" } } },
    }
    local answer = Publish.run { payload = cjson.encode { items = items }, key = "key", traceparent = "parent" }
    assert.are.equal(200, answer.status)
    assert.are.same({
      {
        op = "publish",
        topic = "a",
        message = { payload = "hi", is_text = true, key = "key/1", traceparent = "parent" },
      },
      {
        op = "refresh_topic",
        topic = "b",
        message = { payload = "", is_text = true, key = "key/2", traceparent = "parent" },
      },
    }, pushed)
  end)

  it("names an item whose order counts, for all nodes", function()
    local formats = { ["ws-message"] = { content = "hi" } }
    local items = {
      { channel = "a", id = "1", formats = formats },
      { channel = "a", id = "2", ["no-seq"] = true, formats = formats },
    }
    Publish.run { payload = cjson.encode { items = items } }
    assert.are.same({ "1" }, { pushed[1].item, pushed[2].item })
  end)

  it("lets an item follow one that no socket gets", function()
    local formats = { ["ws-message"] = { content = "hi" } }
    local items = {
      { channel = "a", id = "1", formats = formats },
      { channel = "a", id = "2", ["prev-id"] = "1", formats = { ["http-stream"] = { content = "hi" } } },
      { channel = "a", id = "3", ["prev-id"] = "2", formats = formats },
    }
    assert.are.equal(200, Publish.run({ payload = cjson.encode { items = items } }).status)
    assert.are.same({ 2, "3" }, { #pushed, pushed[2].item })
  end)
end)
