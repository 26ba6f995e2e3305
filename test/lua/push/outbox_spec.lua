local Worker = require "support.worker"
local Config = require "framegate.config"
local Outbox = require "framegate.push.outbox"

describe("an outbox", function()
  local outbox, worker, before

  before_each(function()
    worker = Worker.new()
    outbox = Outbox.new()
    before = Outbox.total()
  end)

  it("gives everything that waits in one piece, oldest first", function()
    for _, frames in ipairs { { "a" }, { "a", "b" }, { "a", "b", "c", "d" } } do
      for _, frame in ipairs(frames) do
        assert.is_true(outbox:push(frame))
      end
      assert.are.equal(#frames, outbox.count)
      assert.are.equal(table.concat(frames), outbox:take())
      assert.are.equal(0, outbox.count)
      outbox:sent(#frames)
    end
    assert.is_nil(outbox:take())
  end)

  it("counts what waits and what is being written, alone and with all others", function()
    outbox:push "four"
    outbox:push "!"
    assert.are.equal(5, outbox.bytes)
    assert.are.equal(before + 5, Outbox.total())
    outbox:take()
    assert.are.equal(5, outbox.bytes)
    outbox:sent(5)
    assert.are.equal(0, outbox.bytes)
    assert.are.equal(before, Outbox.total())
  end)

  it("is full with too many bytes or too many frames, until they are taken", function()
    outbox:push(("a"):rep(100))
    assert.is_false(outbox:is_full())
    outbox:push "b"
    assert.is_true(outbox:is_full())
    outbox:sent(#outbox:take())
    Config.OUTBOX_BYTES = 1000000
    for _ = 1, 16384 do
      outbox:push "c"
    end
    assert.is_false(outbox:is_full())
    outbox:push "c"
    assert.is_true(outbox:is_full())
    outbox:take()
    assert.is_false(outbox:is_full())
    outbox:clear()
  end)

  it("asks to be flushed when something begins to wait, and not for what comes after it", function()
    outbox:push "a"
    outbox:push "b"
    assert.are.same({ outbox }, worker.flusher.due)
    outbox:take()
    outbox:push "c" -- the writer still writes, and sees to it
    assert.are.equal(1, #worker.flusher.due)
    outbox:sent(3)
    outbox:take()
    outbox:sent(0)
    outbox:push "d"
    assert.are.equal(2, #worker.flusher.due)
  end)

  it("takes back what was not sent, in front of what comes next", function()
    outbox:push "abc"
    outbox:push "def"
    local bytes = outbox:take()
    outbox:sent(2)
    outbox:put_back(bytes:sub(3))
    outbox:push "ghi"
    assert.are.equal(7, outbox.bytes)
    assert.are.equal("cdefghi", outbox:take())
  end)

  it("accepts nothing once it is closed, and still gives what waits", function()
    outbox:push "last"
    outbox:close()
    assert.is_false(outbox:push "more")
    assert.are.equal("last", outbox:take())
  end)

  it("has nothing and nobody to write it once it is cleared", function()
    outbox:set_transport {}
    outbox:push "a"
    outbox:push "b"
    outbox:clear()
    assert.is_nil(outbox.transport)
    assert.is_nil(outbox:take())
    assert.are.equal(0, outbox.bytes)
    assert.are.equal(before, Outbox.total())
    assert.is_false(outbox:push "c")
  end)
end)
