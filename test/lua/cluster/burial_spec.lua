local Stub = require "support.ngx"
local Loop = require "support.event_loop"
local Burial = require "framegate.cluster.burial"
local Channels = require "framegate.cluster.channels"
local FakeRedis = require "support.fake_redis"

describe("burial", function()
  local redis, burial, neighbours, added, removed

  before_each(function()
    Loop.reset()
    Stub.now = 1000
    redis, neighbours, added, removed = FakeRedis.new(), {}, {}, {}
    burial = Burial.new {
      own = "own-",
      link = redis,
      channels = Channels.new "c",
      roster = {
        all = function() return neighbours end,
        remove = function(_, node) removed[#removed + 1] = node end,
      },
      now = function() return Stub.now end,
      announce = function() end,
      on_buried = function() end,
      waiting = function() return 0 end,
      add = function(_, socket) added[#added + 1] = socket end,
    }
    burial:disturbed()
  end)

  after_each(function()
    burial:stop()
    redis.is_up = false
    Loop.run(10)
  end)

  local function expired(id, looks)
    return { id = id, expired_since = Stub.now - 3, looks = looks, heard_at = Stub.now - 12 }
  end

  -- Answers the commands of the clean-up as a Redis with these records.
  local function serve(records)
    for _, command in ipairs(redis:take()) do
      if command[1] == "HSCAN" then
        local fields = {}
        for id, text in pairs(records) do
          fields[#fields + 1], fields[#fields + 2] = id, text
        end
        command.callback { "0", fields }
      elseif command[1] == "HLEN" then
        command.callback(next(records) and 1 or 0)
      elseif command[1] == "HDEL" then
        records[command[3]] = nil
        removed[#removed + 1] = command[2] .. " " .. command[3]
      end
    end
  end

  local function run(seconds, records)
    for _ = 1, seconds * 20 do
      Loop.run(0.05)
      serve(records)
    end
  end

  local function bury()
    Stub.now = Stub.now + 13
    neighbours = { expired("dead", 2) }
    burial:look {}
    redis:take_one().callback "ours"
  end

  it("needs a time in which Redis has answered, and two looks", function()
    neighbours = { expired("dead", 2) }
    burial:look {}
    assert.are.same({}, redis:take())
    Stub.now = Stub.now + 13
    neighbours = { expired("dead", 1) }
    burial:look {}
    assert.are.same({}, redis:take())
    neighbours = { expired("dead", 2) }
    burial:look {}
    assert.are.equal("dead", redis:take_one().args[1])
  end)

  it("needs that time again after Redis was late, or this process stood still", function()
    burial:watch()
    for _, is_late in ipairs { true, false } do
      redis.is_late = is_late
      Stub.now = Stub.now + (is_late and 0.1 or 13)
      burial:watch()
      redis.is_late = false
      for _ = 1, 118 do
        Stub.now = Stub.now + 0.1
        burial:watch()
      end
      neighbours = { expired("dead", 2) }
      burial:look {}
      assert.are.same({}, redis:take())
    end
    Stub.now = Stub.now + 0.5
    burial:look {}
    assert.are.equal("dead", redis:take_one().args[1])
  end)

  it("queues each record once, removes it after the answer, and ends the grave when none is left", function()
    bury()
    local records = { a = "text" }
    run(2, records)
    assert.are.equal(1, #added)
    added[1].on_answered()
    run(2, records)
    assert.are.same({ "dead", "c:records:dead a", "c:graves dead" }, removed)
    assert.are.same({}, burial.graves)
  end)

  it("removes a record later when the link was down at the answer", function()
    bury()
    local records = { a = "text" }
    run(1, records)
    redis.is_up = false
    assert.is_false(added[1].on_answered())
    redis.is_up = true
    run(2, records)
    assert.are.equal(1, #added)
    assert.are.same({}, records)
    assert.are.same({}, burial.graves)
  end)

  it("takes over a grave whose cleaner was seen twice without a lease, and forgets one that is gone", function()
    Stub.now = Stub.now + 13
    local grave = { node = "dead", cleaner = "gone", lease = -0.002 }
    burial:look { grave }
    Stub.now = Stub.now + 3
    burial:look {}
    assert.are.same({}, burial.seen)
    burial:look { grave }
    Stub.now = Stub.now + 3
    burial:look { grave }
    assert.are.equal("dead", redis:take_one().args[1])
  end)
end)
