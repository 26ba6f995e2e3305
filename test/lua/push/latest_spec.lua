local Worker = require "support.worker"
local Config = require "framegate.config"
local Outbox = require "framegate.push.outbox"

describe("of the frames with one key in an outbox", function()
  local outbox, before

  before_each(function()
    Worker.new()
    outbox = Outbox.new()
    before = Outbox.total()
  end)

  it("only the newest waits, in the place of the first", function()
    outbox:push_latest("a1", "a")
    assert.is_true(outbox:push_latest("a2", "a"))
    assert.are.equal(1, outbox.count)
    outbox:push "x"
    outbox:push_latest("b1", "b")
    outbox:push_latest("a3333", "a")
    outbox:push_latest("b", "b")
    assert.are.equal(7, outbox.bytes)
    assert.are.equal(before + 7, Outbox.total())
    assert.are.equal("a3333xb", outbox:take())
    outbox:sent(7)
    outbox:push_latest("a4", "a")
    outbox:push_latest("a5", "a")
    assert.are.equal("a5", outbox:take())
    outbox:sent(2)
    assert.are.equal(before, Outbox.total())
  end)

  it("what was taken is no longer replaced, and what was put back comes first", function()
    outbox:push_latest("a1", "a")
    outbox:take()
    outbox:push_latest("a2", "a")
    assert.are.equal(4, outbox.bytes)
    outbox:sent(1)
    outbox:put_back "1"
    outbox:push_latest("a3", "a")
    outbox:push_latest("b1", "b")
    assert.are.equal("1a3b1", outbox:take())
    outbox:sent(5)
    assert.are.equal(0, outbox.bytes)
  end)

  it("a part leaves at a time, and the rest can be replaced", function()
    local function frame(key, version) return (key .. version):rep(3000) end
    for _, key in ipairs { "a", "b", "c", "d", "e" } do
      outbox:push_latest(frame(key, 1), key)
    end
    assert.are.equal(frame("a", 1) .. frame("b", 1), outbox:take())
    assert.are.equal(3, outbox.count)
    for _, key in ipairs { "a", "b", "c", "d", "e" } do
      outbox:push_latest(frame(key, 2), key)
    end
    outbox:sent(6000)
    outbox:put_back(frame("b", 1))
    outbox:push_latest(frame("e", 3), "e")
    local parts = {}
    while outbox.count > 0 do
      local part = outbox:take()
      outbox:sent(#part)
      parts[#parts + 1] = part
    end
    local expected = { frame("b", 1), frame("c", 2), frame("d", 2), frame("e", 3), frame("a", 2), frame("b", 2) }
    assert.are.equal(table.concat(expected), table.concat(parts))
    assert.are.equal(0, outbox.bytes)
    assert.are.equal(before, Outbox.total())
  end)

  it("one that is not longer can take the place of another in a full outbox", function()
    local long = ("a"):rep(Config.OUTBOX_BYTES)
    outbox:push_latest(long, "a")
    assert.is_true(outbox:accepts(long, "a"))
    assert.is_false(outbox:accepts(long .. "a", "a"))
    assert.is_false(outbox:accepts("b", "b"))
    assert.is_false(outbox:accepts "b")
  end)

  it("nothing is accepted any more once it is closed", function()
    outbox:push_latest("a1", "a")
    outbox:close()
    assert.is_false(outbox:push_latest("a2", "a"))
    assert.are.equal("a1", outbox:take())
    outbox:clear()
    assert.are.equal(before, Outbox.total())
  end)

  it("the first one wakes the writer, which limits the kernel's buffer", function()
    local woken = 0
    outbox:set_transport { wake = function() woken = woken + 1 end }
    outbox:push_latest("a1", "a")
    outbox:push_latest("b1", "b")
    assert.are.equal(1, woken)
  end)
end)
