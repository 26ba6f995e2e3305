local Stub = require "support.ngx"

describe("lanes", function()
  local LanePool, saved

  before_each(function()
    saved = { package.loaded["framegate.dispatch.lane"], package.loaded["framegate.config"] }
    package.loaded["framegate.config"] = { capacity = { lanes = 4 } }
    package.loaded["framegate.dispatch.lane"] = {
      new = function()
        return {
          start = function() end,
          carry = function(self)
            self.started, self.took, self.has_answered = ngx.now(), nil, false
          end,
          stop = function(self) self.is_stopped = true end,
        }
      end,
    }
    package.loaded["framegate.dispatch.lane_pool"] = nil
    LanePool = require "framegate.dispatch.lane_pool"
    Stub.now = 1000
  end)

  after_each(function()
    package.loaded["framegate.dispatch.lane"], package.loaded["framegate.config"] = saved[1], saved[2]
    package.loaded["framegate.dispatch.lane_pool"] = nil
  end)

  local function carry()
    local lane = LanePool.take({})
    LanePool.carry(lane, {})
    return lane
  end

  local function answer(lane)
    lane.took, lane.started = ngx.now() - lane.started, nil
    LanePool.free(lane)
  end

  local function wait(milliseconds) Stub.now = Stub.now + milliseconds / 1000 end

  local function answer_many_after(milliseconds)
    for _ = 1, 200 do
      local lane = carry()
      wait(milliseconds)
      answer(lane)
    end
  end

  it("are busy while one request is young, or two are not much older", function()
    assert.is_false(LanePool.are_busy())
    carry()
    assert.is_true(LanePool.are_busy())
    wait(6)
    assert.is_false(LanePool.are_busy())
    carry()
    assert.is_true(LanePool.are_busy())
    wait(3)
    assert.is_true(LanePool.are_busy(), "one is young still")
    wait(3)
    assert.is_false(LanePool.are_busy(), "one is older, the other too old to count")
  end)

  it("two that are older than young, and not twice as old, are enough", function()
    carry()
    carry()
    wait(7)
    assert.is_true(LanePool.are_busy())
    wait(4)
    assert.is_false(LanePool.are_busy())
  end)

  it("are not busy with a batch whose first answers were handed on", function()
    local lane = carry()
    lane.took = 0
    assert.is_true(LanePool.are_busy(), "its answers are being handed on")
    lane.has_answered = true
    assert.is_false(LanePool.are_busy())
  end)

  it("call a request young for 2 to 5 ms, by how long requests took of late", function()
    assert.are.equal(0.005, LanePool.young_seconds())
    answer_many_after(0)
    assert.are.equal(0.002, LanePool.young_seconds())
    answer_many_after(2)
    assert.is_near(0.004, LanePool.young_seconds(), 0.0002)
    answer_many_after(1000)
    assert.are.equal(0.005, LanePool.young_seconds())
    answer_many_after(1)
    assert.is_near(0.002, LanePool.young_seconds(), 0.0002)
  end)

  it("are no more than the worker may have, and none is left when they are closed", function()
    local lanes = { carry(), carry(), carry(), carry() }
    assert.is_nil(LanePool.take({}))
    answer(lanes[1])
    assert.are.same({ open = 4, busy = 3 }, LanePool.state())
    LanePool.close()
    assert.is_true(lanes[1].is_stopped)
    assert.is_nil(lanes[2].is_stopped)
    answer(lanes[2])
    assert.is_true(lanes[2].is_stopped, "one that becomes free afterwards")
  end)
end)
