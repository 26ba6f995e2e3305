local Stub = require "support.ngx"
local Loop = require "support.event_loop"
local Dictionary = require "support.dictionary"
local Log = require "framegate.runtime.log"

describe("the order of items", function()
  local Sequencer, sent

  before_each(function()
    Stub.now, sent = 1000, {}
    Loop.reset()
    rawset(ngx.shared, "seen", Dictionary.new())
    rawset(ngx, "worker", { exiting = function() return false end })
    package.loaded["framegate.cluster.last_items"] = nil
    package.loaded["framegate.control.sequencer"] = nil
    Sequencer = require "framegate.control.sequencer"
    stub(Log, "error")
    stub(Log, "warn")
  end)

  after_each(function()
    Log.error:revert()
    Log.warn:revert()
  end)

  local function publish(id, previous, payload, run)
    local item = { channel = "news", id = id, previous = previous, payload = payload or "", has_no_order = false }
    return Sequencer.run(item, run or function()
      sent[#sent + 1] = id or "none"
      return { delivered = 1, dropped = 0 }
    end)
  end

  it("is that of their ids: one that comes too early waits for the one before it", function()
    assert.are.same({ delivered = 1, dropped = 0 }, publish "1")
    assert.is_nil(publish("3", "2"))
    assert.is_true(Sequencer.is_busy())
    Loop.run(1)
    publish("2", "1")
    assert.are.same({ "1", "2" }, sent)
    Loop.run(1)
    assert.are.same({ "1", "2", "3" }, sent)
    assert.is_false(Sequencer.is_busy())
  end)

  it("holds for 5 s, and begins anew with an item that has no id", function()
    publish "1"
    publish("3", "2")
    Loop.run(4.9)
    assert.are.same({ "1" }, sent)
    Loop.run(0.2)
    assert.are.same({ "1", "3" }, sent)
    publish()
    publish("9", "8")
    assert.are.same({ "1", "3", "none", "9" }, sent)
  end)

  it("does not go back when an item is repeated", function()
    publish "1"
    publish("2", "1")
    publish "1"
    publish("3", "2")
    assert.are.same({ "1", "2", "1", "3" }, sent)
  end)

  it("lets a repeat go out without delay, so that its answer is that of the publish", function()
    publish "1"
    publish("2", "1")
    publish("3", "2")
    local function fail() return {}, "unreachable" end
    assert.are.equal("unreachable", select(2, publish("2", "1", "", fail)))
    assert.is_false(Sequencer.is_busy())
  end)

  it("is given up for an item that is too large to wait with the others", function()
    publish "1"
    local large = ("x"):rep(9 * 1024 * 1024)
    publish("3", "2", large)
    publish("5", "4", large)
    assert.are.same({ "1", "5" }, sent)
    Loop.run(6)
    assert.are.same({ "1", "5", "3" }, sent)
    publish("7", "6", large)
    assert.is_true(Sequencer.is_busy())
    Loop.run(6)
  end)

  it("loses no failure of an item that has waited, and goes on after it", function()
    publish "1"
    publish("3", "2", "", function() error "a defect" end)
    publish("4", "2", "", function() return {}, "unreachable" end)
    Loop.run(6)
    assert.stub(Log.error).was.called(1)
    assert.matches("a defect", Log.error.calls[1].vals[3], 1, true)
    assert.stub(Log.warn).was.called(1)
    assert.matches("did not reach all: unreachable$", Log.warn.calls[1].vals[2])
    assert.is_false(Sequencer.is_busy())
  end)
end)
