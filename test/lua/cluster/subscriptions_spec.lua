local Channels = require "framegate.cluster.channels"
local FakeRedis = require "support.fake_redis"
local Subscriptions = require "framegate.cluster.subscriptions"

describe("the subscriptions of a node", function()
  local redis, subscriptions, refused, done

  before_each(function()
    redis, refused, done = FakeRedis.new(), 0, {}
    subscriptions = Subscriptions.new {
      own = "own0",
      link = redis,
      channels = Channels.new "c",
      on_refused = function() refused = refused + 1 end,
    }
  end)

  local function change(worker, add, remove, is_all)
    local name = worker .. #done
    subscriptions:change(
      worker,
      { add = add, remove = remove or {}, is_all = is_all },
      function() done[#done + 1] = name end
    )
  end

  it("begin with the first worker that has a group, and end with the last", function()
    change("w1", { "topic:a" })
    local command = redis:take_one()
    assert.are.same({ "SUBSCRIBE", { "c:topic:a" } }, { command[1], command.channels })
    assert.are.same({}, done)
    command.callback(true)
    assert.are.same({ "w10" }, done)
    change("w2", { "topic:a" })
    assert.are.same({}, redis:take())
    assert.are.equal(2, #done)
    change("w1", {}, { "topic:a" })
    assert.are.same({}, redis:take())
    change("w2", {}, { "topic:a", "topic:unknown" })
    command = redis:take_one()
    assert.are.same({ "UNSUBSCRIBE", { "c:topic:a" } }, { command[1], command.channels })
    assert.are.equal(0, subscriptions.number)
  end)

  it("are known to be confirmed only by the last SUBSCRIBE", function()
    change("w1", { "topic:a" })
    change("w1", {}, { "topic:a" })
    change("w1", { "topic:a" })
    local first, _, last = unpack(redis:take())
    first.callback(true)
    change("w2", { "topic:a" })
    local again = redis:take_one()
    assert.are.equal(1, #done - 1, "the second worker waits")
    last.callback(true)
    again.callback(true)
    change("w3", { "topic:a" })
    assert.are.same({}, redis:take())
  end)

  it("of a worker are replaced when it reports all", function()
    change("w1", { "topic:a", "topic:b" })
    redis:take_one().callback(true)
    change("w1", { "topic:b", "user:c" }, {}, true)
    local unsubscribe, subscribe = unpack(redis:take())
    assert.are.same({ "c:topic:a" }, unsubscribe.channels)
    assert.are.same({ "c:user:c" }, subscribe.channels)
    assert.are.equal(2, subscriptions.number)
  end)

  it("of workers that are gone end", function()
    change("w1", { "topic:a" })
    change("w2", { "topic:b" })
    redis:take()
    assert.are.same({ "w3" }, subscriptions:update_workers { "w1", "w3" })
    assert.are.same({ "c:topic:b" }, redis:take_one().channels)
    assert.are.same({ true, false }, { subscriptions:has "w1", subscriptions:has "w2" })
  end)

  it("begin anew over a new link, and this node's own channel comes last", function()
    redis.is_up = false
    change("w1", { "topic:a" })
    assert.are.equal(1, #done, "nobody waits while there is no link")
    redis.is_up = true
    local is_resumed, has_joined
    subscriptions:resume(function() is_resumed = true end)
    local command = redis:take_one()
    command.callback(nil, "lost")
    assert.is_nil(is_resumed)
    subscriptions:resume(function() is_resumed = true end)
    redis:take_one().callback(true)
    assert.is_true(is_resumed)
    subscriptions:join(function() has_joined = true end)
    command = redis:take_one()
    assert.are.same({ "c:all", "c:node:own0" }, command.channels)
    command.callback(true)
    assert.is_true(has_joined)
    assert.are.equal(0, refused)
    subscriptions:part()
    assert.are.same({ "c:node:own0" }, redis:take_one().channels)
  end)

  it("that Redis refuses are reported, and nobody waits for them", function()
    change("w1", { "topic:a" })
    redis:take_one().callback(nil, { code = "NOPERM" })
    assert.are.same({ 1, 1 }, { refused, #done })
    subscriptions:resume(function() error "it is not done" end)
    redis:take_one().callback(nil, { code = "NOPERM" })
    subscriptions:join(function() error "it is not done" end)
    redis:take_one().callback(nil, { code = "NOPERM" })
    assert.are.equal(3, refused)
  end)
end)
