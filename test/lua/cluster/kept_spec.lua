local Kept = require "framegate.cluster.kept"

describe("kept requests", function()
  local kept, given_up

  before_each(function()
    given_up = {}
    kept = Kept.new {
      max_bytes = 10000,
      give_up = function(entry)
        given_up[#given_up + 1] = entry.name
        entry.is_finished = true
        kept:finished(entry)
      end,
    }
  end)

  local function add(name, bytes)
    local entry = { name = name, bytes = bytes }
    kept:add(entry)
    return entry
  end

  local function finish(entry)
    entry.is_finished = true
    kept:finished(entry)
  end

  it("are bounded: the oldest go for newer ones", function()
    add("a", 4000)
    add("b", 3000)
    add("c", 3000)
    assert.are.same({ "a" }, given_up)
    add("d", 9000)
    assert.are.same({ "a", "b", "c", "d" }, given_up, "one that is too large itself goes, too")
    assert.are.equal(0, kept.bytes)
  end)

  it("count their tables, too", function()
    for i = 1, 100 do
      add(i, 0)
    end
    assert.is_true(#given_up > 80)
  end)

  it("that are finished leave nothing, in any order", function()
    local a, b, c = add("a", 10), add("b", 10), add("c", 10)
    finish(b)
    finish(a)
    finish(c)
    assert.are.equal(0, kept.bytes)
    assert.are.equal(0, kept.queue:count())
    assert.are.same({}, given_up)
  end)
end)
