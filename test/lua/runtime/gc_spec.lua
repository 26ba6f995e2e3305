local Stub = require "support.ngx"

describe("the garbage of large bodies", function()
  local Gc, timers, collections
  local collect, timer = collectgarbage, ngx.timer

  before_each(function()
    Stub.now, timers, collections = 1000, {}, 0
    rawset(ngx, "timer", {
      at = function(seconds, run, ...)
        timers[#timers + 1] = { at = Stub.now + seconds, run = run, arguments = { ... } }
        return true
      end,
    })
    package.loaded["framegate.runtime.gc"] = nil
    Gc = require "framegate.runtime.gc"
    rawset(_G, "collectgarbage", function(what)
      if what == "step" then
        collections = collections + 1
        return true
      end
      return 0
    end)
  end)

  after_each(function()
    rawset(_G, "collectgarbage", collect)
    rawset(ngx, "timer", timer)
  end)

  -- The seconds at which garbage was collected, up to a time.
  local function run_until(seconds)
    local times = {}
    while true do
      table.sort(timers, function(a, b) return a.at < b.at end)
      if not timers[1] or timers[1].at > 1000 + seconds then
        Stub.now = 1000 + seconds
        return times
      end
      local due, before = table.remove(timers, 1), collections
      Stub.now = due.at
      due.run(false, unpack(due.arguments))
      times[#times + 1] = collections > before and due.at - 1000 or nil
    end
  end

  it("is collected 1, 10 and 60 s after the last", function()
    Gc.note_body(1024 * 1024)
    assert.are.same({ 1, 10, 60 }, run_until(200))
    Gc.note_body(100)
    assert.are.same({}, run_until(300))
  end)

  it("waits while others come", function()
    Gc.note_body(1024 * 1024)
    run_until(0.5)
    Gc.note_body(1024 * 1024)
    assert.are.same({ 2 }, run_until(5))
  end)

  it("is collected within 10 s, whichever pause runs", function()
    Gc.note_body(1024 * 1024)
    run_until(5)
    Gc.note_body(1024 * 1024)
    assert.are.same({ 11, 20 }, run_until(21))
    Gc.note_body(1024 * 1024)
    assert.are.same({ 30 }, run_until(31))
  end)
end)
