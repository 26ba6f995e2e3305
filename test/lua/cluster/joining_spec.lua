local Stub = require "support.ngx"
local FakeRedis = require "support.fake_redis"
local Joining = require "framegate.cluster.joining"

describe("a node that joins the others", function()
  local redis, joining, subscriptions, lease, reported, workers, ready, steps

  before_each(function()
    Stub.now, redis, reported, workers, ready, steps = 0, FakeRedis.new(), { one = true }, { "one" }, 0, {}
    local function step(name)
      return function(_, on_done)
        steps[#steps + 1] = name
        subscriptions[name] = on_done
      end
    end
    subscriptions = {
      has = function(_, worker) return reported[worker] == true end,
      resume = step "resumed",
      join = step "joined",
      part = step "parted",
    }
    lease = { renew = step "renewed", reset = function() end }
    joining = Joining.new {
      link = redis,
      subscriptions = subscriptions,
      lease = lease,
      now = function() return Stub.now end,
      workers = function() return workers end,
      on_ready = function() ready = ready + 1 end,
    }
  end)

  local function finish(name) subscriptions[name]() end

  it("subscribes to its groups, then to its own channel, then renews its lease", function()
    joining:up()
    assert.are.same({ "resumed" }, steps)
    finish "resumed"
    finish "joined"
    assert.is_false(joining.is_ready)
    finish "renewed"
    assert.are.same({ "resumed", "joined", "renewed" }, steps)
    assert.are.same({ true, 1 }, { joining.is_ready, ready })
  end)

  it("waits for the groups of all its workers, but not for ever", function()
    workers = { "one", "two" }
    joining:up()
    finish "resumed"
    joining:look()
    assert.are.same({ "resumed" }, steps)
    reported.two = true
    joining:advance()
    assert.are.same({ "resumed", "joined" }, steps)
    joining:down()
    reported.two = nil
    joining:up()
    finish "resumed"
    Stub.now = 4
    joining:look()
    assert.are.equal(3, #steps)
    Stub.now = 6
    joining:look()
    assert.are.equal("joined", steps[4])
  end)

  it("tries again what Redis refuses", function()
    joining:up()
    finish "resumed"
    joining:refused()
    assert.are.equal("parted", steps[3])
    Stub.now = 1
    joining:look()
    assert.are.equal(3, #steps)
    Stub.now = 3
    joining:look()
    assert.are.equal("resumed", steps[4])
    finish "resumed"
    finish "joined"
    finish "renewed"
    assert.is_true(joining.is_ready)
    joining:refused()
    finish "renewed" -- a late reply
    assert.is_false(joining.is_ready)
  end)

  it("is away once it was not ready for 1 s, or when a command has no answer", function()
    Stub.now = 0.9
    assert.is_false(joining:is_away())
    Stub.now = 1.1
    assert.is_true(joining:is_away())
    joining:up()
    finish "resumed"
    finish "joined"
    finish "renewed"
    assert.is_false(joining:is_away())
    redis.is_late = true
    assert.is_true(joining:is_away())
    joining:down()
    assert.is_false(joining:is_away(), "a link may be back in a moment")
  end)

  it("ends its former link, if that was to the same Redis", function()
    joining:up()
    assert.are.same({}, redis:take())
    joining:down()
    redis.client_id = 7
    joining:up()
    assert.are.same({ "CLIENT", "KILL", "ID", 1 }, { unpack(redis:take_one()) })
    joining:down()
    redis.client_id, redis.run_id = 9, "other"
    joining:up()
    assert.are.same({}, redis:take())
  end)
end)
