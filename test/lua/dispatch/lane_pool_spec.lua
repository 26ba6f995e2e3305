local Stub = require "support.ngx"
local LanePool = require "framegate.dispatch.lane_pool"

local FakeLane = {}
FakeLane.__index = FakeLane

function FakeLane:carry()
  self.started, self.took, self.has_answered = Stub.now, nil, false
end

function FakeLane:stop() self.is_stopped = true end

describe("lanes", function()
  local pool

  before_each(function()
    Stub.now = 1000
    pool = LanePool.new {
      capacity = 4,
      streams = 1,
      open_lane = function() return setmetatable({}, FakeLane) end,
      now = function() return Stub.now end,
    }
  end)

  local function carry(is_single)
    local lane = pool:take()
    pool:carry(lane, {}, is_single)
    return lane
  end

  local function answer(lane)
    lane.took, lane.started = Stub.now - lane.started, nil
    pool:free(lane)
  end

  local function wait(milliseconds) Stub.now = Stub.now + milliseconds / 1000 end

  local function answer_many_after(milliseconds)
    for _ = 1, 200 do
      local lane = carry()
      wait(milliseconds)
      answer(lane)
    end
  end

  it("are busy while one request is recent, or two are not much older", function()
    assert.is_false(pool:are_busy())
    carry()
    assert.is_true(pool:are_busy())
    wait(6)
    assert.is_false(pool:are_busy())
    carry()
    assert.is_true(pool:are_busy())
    wait(3)
    assert.is_true(pool:are_busy(), "one is recent still")
    wait(3)
    assert.is_false(pool:are_busy(), "one is older, the other too old to count")
  end)

  it("are not busy with events that may not travel in a batch", function()
    local lane = carry()
    assert.is_true(pool:are_busy())
    answer(lane)
    carry(true)
    assert.is_false(pool:are_busy())
  end)

  it("two that are older than recent, and not twice as old, are enough", function()
    carry()
    carry()
    wait(7)
    assert.is_true(pool:are_busy())
    wait(4)
    assert.is_false(pool:are_busy())
  end)

  it("are not busy with a batch whose first answers were handed on", function()
    local lane = carry()
    lane.took = 0
    assert.is_true(pool:are_busy(), "its answers are being handed on")
    lane.has_answered = true
    assert.is_false(pool:are_busy())
  end)

  it("call a request recent for 2 to 5 ms, by how long requests typically take", function()
    assert.are.equal(0.005, pool:recent_seconds())
    answer_many_after(0)
    assert.are.equal(0.002, pool:recent_seconds())
    answer_many_after(2)
    assert.is_near(0.004, pool:recent_seconds(), 0.0002)
    answer_many_after(1000)
    assert.are.equal(0.005, pool:recent_seconds())
    answer_many_after(1)
    assert.is_near(0.002, pool:recent_seconds(), 0.0002)
  end)

  it("are no more than the worker may have, and none is left when they are closed", function()
    local lanes = { carry(), carry(), carry(), carry() }
    assert.is_nil(pool:take())
    answer(lanes[1])
    assert.are.same({ open = 4, busy = 3, streams = 0 }, pool:state())
    pool:close()
    assert.is_true(lanes[1].is_stopped)
    assert.is_nil(lanes[2].is_stopped)
    answer(lanes[2])
    assert.is_true(lanes[2].is_stopped, "one that becomes free afterwards")
  end)

  it("that have ended make room for others, and are not taken again", function()
    local lanes = { carry(), carry(), carry(), carry() }
    answer(lanes[1])
    pool:retire(lanes[1])
    pool:retire(lanes[2])
    assert.are.same({ open = 2, busy = 2, streams = 0 }, pool:state())
    assert.are_not.equal(lanes[1], pool:take())
    assert.are_not.equal(lanes[1], pool:take())
    assert.is_nil(pool:take())
  end)

  it("with a stream count among the streams, and leave their place to others", function()
    local lanes = { carry(), carry(), carry(), carry() }
    assert.is_true(pool:begin_stream(lanes[1]))
    assert.is_false(pool:begin_stream(lanes[2]), "there may be one")
    assert.are.same({ open = 3, busy = 3, streams = 1 }, pool:state())
    local other = carry()
    pool:retire(lanes[1])
    assert.are.same({ open = 4, busy = 4, streams = 0 }, pool:state())
    assert.is_true(pool:begin_stream(other))
  end)
end)
