local Stub = require "support.ngx"
local Loop = require "support.event_loop"
local Channels = require "framegate.cluster.channels"
local FakeRedis = require "support.fake_redis"
local NodeRecords = require "framegate.cluster.node_records"

describe("the records of a node in Redis", function()
  local redis, records, texts

  before_each(function()
    Loop.reset()
    Stub.now = 1000
    redis, texts = FakeRedis.new(), {}
    records = NodeRecords.new {
      own = "node",
      link = redis,
      channels = Channels.new "c",
      ids = function()
        local ids = {}
        for id in pairs(texts) do
          ids[#ids + 1] = id
        end
        return ids
      end,
      text_of = function(id) return texts[id] end,
      is_own = function(id) return id:sub(1, 4) == "node" end,
    }
  end)

  local function take_write()
    local write = redis:take_one()
    assert.are.same({ "c:records:node", "c:buried:node" }, write.keys)
    return write
  end

  it("are written and removed, and that is confirmed once when Redis has done both", function()
    local done = 0
    records:write({ { "node1", "text" }, { "node2" } }, function() done = done + 1 end)
    local write, removal = unpack(redis:take())
    assert.are.same({ { "node1", "text" }, { "HDEL", "c:records:node", "node2" } }, {
      write.args,
      { unpack(removal) },
    })
    write.callback(1)
    assert.are.equal(0, done)
    removal.callback(nil, "lost")
    assert.are.equal(1, done)
  end)

  it("are confirmed immediately while the link is down", function()
    redis.is_up = false
    local done = 0
    records:write({ { "node1", "text" }, { "node2" } }, function() done = done + 1 end)
    assert.are.equal(1, done)
  end)

  it("agree with the shared memory over a new link, but for sockets of an earlier life", function()
    texts = { node1 = "a", gone1 = "b" }
    records:resume()
    redis:take_one().callback { "node1", "node2" }
    Loop.run(0)
    assert.are.same({ "node1", "a" }, take_write().args)
    Loop.run(1)
    assert.are.same({ "HDEL", "c:records:node", "node2" }, { unpack(redis:take_one()) })
  end)

  it("that are old are removed over a link that came while the former one's were written", function()
    texts = { node1 = "a" }
    records:resume()
    redis:take_one().callback {}
    Loop.run(0)
    take_write()
    records:resume()
    redis:take_one().callback { "node2" }
    Loop.run(0.001)
    take_write()
    Loop.run(1)
    assert.are.same({ "HDEL", "c:records:node", "node2" }, { unpack(redis:take_one()) })
  end)
end)
