local Stub = require "support.ngx"
local Loop = require "support.event_loop"
local Dictionary = require "support.dictionary"
local OnceHere = require "framegate.push.once_here"
local Seen = require "framegate.cluster.seen"

describe("a request with a key", function()
  local once, run, seconds

  before_each(function()
    Loop.reset()
    Stub.now, run, seconds = 0, 0, 0
    local function count()
      run = run + 1
      ngx.sleep(seconds)
      if run == 1 and seconds == 99 then
        error "it broke"
      end
    end
    once = OnceHere.new {
      bus = {
        call = function()
          count()
          return nil, "gone"
        end,
        call_all = function()
          count()
          return { { delivered = run } }, true
        end,
      },
      seen = Seen.new { dict = Dictionary.new(), own = "one", is_living = function() return true end },
    }
  end)

  local function in_thread(act)
    local results
    Loop.spawn(function() results = { act() } end)
    Loop.run(10)
    return unpack(results or {})
  end

  local function ask_all(key) return once:ask_all { op = "publish", args = {}, payload = "", key = key } end

  it("is run once, and gives the first results again", function()
    for _ = 1, 3 do
      assert.are.same({ { delivered = 1 } }, (in_thread(function() return ask_all "k" end)))
    end
    assert.are.equal(1, run)
    in_thread(function() return ask_all "other" end)
    in_thread(ask_all)
    in_thread(ask_all)
    assert.are.equal(4, run)
  end)

  it("keeps that a connection is gone", function()
    for _ = 1, 2 do
      local result, err = in_thread(function() return once:ask("worker", { op = "send", args = {}, key = "k" }) end)
      assert.are.same({ nil, "gone" }, { result, err })
    end
    assert.are.equal(1, run)
  end)

  it("waits for the first, but not for ever", function()
    seconds = 1
    local results, time
    Loop.spawn(function() ask_all "k" end)
    Loop.spawn(function()
      results, time = ask_all "k", Stub.now
    end)
    Loop.run(2)
    assert.are.same({ { delivered = 1 } }, results)
    assert.is_true(time >= 1 and time < 1.1)
    seconds = 50
    Loop.spawn(function() ask_all "long" end)
    local is_complete
    Loop.spawn(function() is_complete = select(2, ask_all "long") end)
    Loop.run(10)
    assert.is_false(is_complete)
  end)

  it("may be run again when it failed", function()
    seconds = 99
    local ok
    Loop.spawn(function() ok = pcall(ask_all, "k") end)
    Loop.run(100)
    assert.is_false(ok)
    seconds = 0
    assert.are.same({ { delivered = 2 } }, (in_thread(function() return ask_all "k" end)))
  end)
end)
