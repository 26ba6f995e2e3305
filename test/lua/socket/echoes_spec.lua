local Loop = require "support.event_loop"
local Echoes = require "framegate.socket.echoes"

describe("waiting for echoes", function()
  local asked, results

  before_each(function()
    Loop.run(1e6)
    Loop.reset()
    asked, results = {}, {}
    Echoes.wire { bus = { ask_all = function(_, _, on_done) asked[#asked + 1] = on_done end } }
  end)

  local function wait()
    Echoes.await(function(is_complete) results[#results + 1] = is_complete end)
  end

  it("ends when all have answered, once", function()
    wait()
    asked[1]({}, true)
    Loop.run(10)
    assert.are.same({ true }, results)
  end)

  it("ends after 4 s without those that stand still, which count as dead from 10 s on", function()
    for _ = 1, 3 do
      wait()
      Loop.run(4)
    end
    assert.are.same({ false, false, true }, results)
  end)

  it("goes on when a worker could not be asked: it may still count as dead later", function()
    for i = 1, 3 do
      wait()
      Loop.run(4)
      asked[i]({}, false)
    end
    assert.are.same({ false, false, true }, results)
    wait()
    asked[4]({}, false)
    assert.are.equal(3, #results)
  end)

  it("begins to count anew after an answer, and after a long time without a wait", function()
    wait()
    Loop.run(4)
    asked[1]({}, true)
    Loop.run(8)
    wait()
    Loop.run(4)
    Loop.run(60)
    wait()
    Loop.run(4)
    assert.are.same({ false, false, false }, results)
  end)
end)
