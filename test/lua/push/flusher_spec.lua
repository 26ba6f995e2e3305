local Loop = require "support.event_loop"
local Worker = require "support.worker"

-- The functions of nginx that it calls are not here, so no transport has an address; test/push/*.test.ts have them.
describe("the flusher", function()
  local Flusher, flusher, outbox, woken

  before_each(function()
    Worker.new()
    Loop.reset()
    Flusher = require "framegate.push.flusher"
    flusher = Flusher.new()
    flusher:start()
    outbox = require("framegate.push.outbox").new()
    woken = 0
    outbox:set_transport { wake = function() woken = woken + 1 end }
  end)

  it("leaves a transport that it cannot write to to its writer", function()
    outbox:push "frame"
    flusher:add(outbox)
    assert.are.equal(0, woken)
    Loop.run(1)
    assert.are.equal(1, woken)
    assert.are.equal(1, outbox.count)
  end)

  it("leaves alone what was taken meanwhile, and what has no transport", function()
    flusher:add(outbox)
    outbox:push "frame"
    outbox:take()
    Loop.run(1)
    assert.are.equal(0, woken)
    outbox:push "another"
    outbox.transport = nil
    flusher:add(outbox)
    Loop.run(1)
    assert.are.equal(1, outbox.count)
  end)

  it("goes on after a defect", function()
    outbox:set_transport {
      wake = function()
        woken = woken + 1
        assert(woken > 1, "a defect")
      end,
    }
    outbox:push "frame"
    flusher:add(outbox)
    Loop.run(1)
    assert.are.equal(2, woken)
    flusher:add(outbox)
    Loop.run(1)
    assert.are.equal(3, woken)
  end)

  it("ends its thread when it is stopped", function()
    flusher:stop()
    Loop.run(1)
    flusher:add(outbox)
    outbox:push "frame"
    Loop.run(1)
    assert.are.equal(0, woken)
  end)
end)
