require "support.ngx"
local Topic = require "framegate.push.topic"
local TopicName = require "framegate.protocol.topic_name"

describe("a topic", function()
  it("has a name of 1 to 255 bytes of UTF-8", function()
    for _, name in ipairs { "a", "Zoë", "a/b c", ("x"):rep(255) } do
      assert.is_true(TopicName.is_valid(name), name)
    end
    for _, name in ipairs { "", ("x"):rep(256), "\xFF", 1, {} } do
      assert.is_false(TopicName.is_valid(name))
    end
    assert.is_false(TopicName.is_valid(nil))
    assert.are.equal("1 to 255 bytes of UTF-8", TopicName.RULE)
  end)

  it("holds its subscribers, and each of them its names", function()
    local news, chat, ann = Topic.new "news", Topic.new "chat", {}
    assert.are.equal(0, Topic.count_of(ann))
    news:add(ann)
    chat:add(ann)
    assert.are.equal(2, Topic.count_of(ann))
    assert.is_true(Topic.has(ann, "news"))
    assert.are.equal(ann, news.subscribers[1])
    news:remove(ann)
    assert.is_false(Topic.has(ann, "news"))
    assert.is_true(Topic.has(ann, "chat"))
    assert.are.equal(0, news.subscribers.count)
    chat:remove(ann)
    assert.is_nil(ann.topics, "one without topics keeps no table")
  end)

  it("may be called what Lua calls something", function()
    local ann = {}
    for _, name in ipairs { "count", "1", "__index", "add" } do
      assert.is_false(Topic.has(ann, name))
      Topic.new(name):add(ann)
      assert.is_true(Topic.has(ann, name))
    end
    assert.are.equal(4, Topic.count_of(ann))
  end)
end)
