local Loop = require "support.event_loop"
local SharedRecords = require "framegate.cluster.shared_records"

describe("the records of a worker", function()
  local records, holder, calls, answer

  before_each(function()
    Loop.reset()
    holder, calls, answer = "h1", {}, { ok = true }
    records = SharedRecords.new {
      holders = {
        is_clustered = function() return holder ~= nil end,
        current = function() return holder end,
      },
      bus = {
        call = function(_, name, _, args)
          table.sort(args.records, function(a, b) return a[1] < b[1] end)
          calls[#calls + 1] = { name, args.records }
          ngx.sleep(0.1)
          return answer == error and error "no such operation" or answer
        end,
      },
    }
  end)

  it("go to the holder in batches, the last change of each", function()
    records:put("a", "1")
    records:put("b", "1")
    records:remove "a"
    assert.is_true(records:is_busy())
    Loop.run(0)
    records:put("b", "2")
    records:remove "b"
    Loop.run(1)
    assert.are.same({ { "h1", { { "a" }, { "b", "1" } } }, { "h1", { { "b" } } } }, calls)
    assert.is_false(records:is_busy())
  end)

  it("go to the next holder when the former one had no link any more, but for what is newer", function()
    answer = nil
    records:put("a", "1")
    records:put("b", "1")
    records:remove "c"
    Loop.run(0)
    holder = "h2"
    records:put("b", "2")
    Loop.run(1)
    assert.are.same({ "h2", { { "a", "1" }, { "b", "2" }, { "c" } } }, calls[2])
    assert.are.equal(2, #calls)
    assert.is_false(records:is_busy())
  end)

  local function await(id)
    local woken
    local written = records:written(id)
    Loop.spawn(function() woken = written:wait(5) end)
    return function() return woken end
  end

  it("can be awaited until Redis has them, which the next holder may write", function()
    answer = nil
    records:put("a", "1")
    local is_written = await "a"
    Loop.run(0)
    holder = "h2"
    Loop.run(0.15)
    assert.is_nil(is_written())
    answer = { ok = true }
    Loop.run(0.2)
    assert.is_true(is_written())
    assert.is_nil(records:written "a")
  end)

  it("can be awaited no longer than Redis is there", function()
    answer = nil
    records:put("a", "1")
    local is_written = await "a"
    Loop.run(1)
    assert.is_true(is_written())
  end)

  it("are awaited no longer when writing them fails", function()
    stub(require "framegate.runtime.log", "error")
    answer = error
    records:put("a", "1")
    local is_written = await "a"
    Loop.run(1)
    assert.is_true(is_written())
    require("framegate.runtime.log").error:revert()
  end)

  it("are none without a cluster", function()
    holder = nil
    records:put("a", "1")
    assert.is_nil(records:written "a")
    Loop.run(1)
    assert.are.same({}, calls)
  end)
end)
