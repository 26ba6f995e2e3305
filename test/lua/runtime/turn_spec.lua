local Worker = require "support.worker"
local Loop = require "support.event_loop"
local Stub = require "support.ngx"
local Turn = require "framegate.runtime.turn"

describe("a turn", function()
  local function steps(owner, bytes, log)
    for i = 1, 3 do
      Turn.spend(owner, bytes)
      log[#log + 1] = owner .. i
    end
  end

  before_each(function()
    Worker.new()
    Loop.reset()
  end)

  it("of who does little never ends", function()
    local log = {}
    Loop.spawn(steps, "a", 1000, log)
    Loop.run(0)
    assert.are.same({ "a1", "a2", "a3" }, log)
  end)

  it("ends with the share of one, and the others have theirs", function()
    local log, began = {}, Stub.now
    Loop.spawn(steps, "a", 65536, log)
    Loop.spawn(steps, "b", 30000, log)
    Loop.run(0)
    assert.are.same({ "b1", "b2" }, log)
    Loop.run(1)
    assert.are.equal(6, #log)
    assert.is_true(Stub.now > began)
  end)

  it("is one of several to wait for after a piece of work that is worth several shares", function()
    local log = {}
    Loop.spawn(steps, "a", 10 * 65536, log)
    Loop.run(0.0095)
    assert.are.same({}, log)
    Loop.run(0.001)
    assert.are.same({ "a1" }, log)
  end)
end)
