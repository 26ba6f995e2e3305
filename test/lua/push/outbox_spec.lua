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

  describe("of a session", function()
    local Encoder = require "framegate.protocol.encoder"
    local Ring = require "framegate.session.ring"
    local ring
    local A, B, C = "\129\1a", "\129\1b", "\129\1c"

    before_each(function()
      ring = Ring.new()
      outbox:set_ring(ring)
    end)

    local function push(...)
      for _, frame in ipairs { ... } do
        outbox:push(frame)
      end
    end

    it("keeps the messages that leave, and nothing else", function()
      push(A, Encoder.PING, B)
      assert.are.equal(0, ring.top)
      assert.are.equal(A .. "\137\0" .. B, outbox:take())
      assert.are.same({ A, B }, ring:frames())
      outbox:sent(8)
      push(C)
      outbox:take()
      assert.are.same({ A, B, C }, ring:frames())
    end)

    it("keeps a message once that was written in parts, or not at all", function()
      push(A, B)
      local bytes = outbox:take()
      outbox:sent(4)
      outbox:put_back(bytes:sub(5))
      push(C)
      assert.are.equal("\1b" .. C, outbox:take())
      outbox:put_back("\1b" .. C)
      assert.are.equal("\1b" .. C, outbox:take())
      outbox:sent(5)
      assert.are.same({ A, B, C }, ring:frames())
      assert.are.equal(0, outbox.bytes)
      assert.are.equal(before, Outbox.total())
    end)

    it("loses the rest of a write with its transport, and keeps what waits whole", function()
      for _, waiting in ipairs { {}, { B }, { B, C } } do
        push(A)
        local bytes = outbox:take()
        outbox:sent(1)
        outbox:put_back(bytes:sub(2))
        push(unpack(waiting))
        outbox:detach()
        assert.are.equal(#waiting, outbox.count)
        assert.are.equal(3 * #waiting, outbox.bytes)
        assert.are.equal(before + 3 * #waiting, Outbox.total())
        assert.are.equal(#waiting > 0 and table.concat(waiting) or nil, outbox:take())
        outbox:sent(outbox.bytes)
      end
    end)

    it("loses bytes that are being written, too", function()
      push(A)
      outbox:take()
      push(B)
      outbox:detach()
      assert.are.same({ 1, 3, before + 3 }, { outbox.count, outbox.bytes, Outbox.total() })
      assert.are.equal(B, outbox:take())
    end)

    it("loses pings and a close frame with the transport, and keeps the places of keys", function()
      push(A)
      push(Encoder.ping "1")
      outbox:push_latest(B, "key")
      push(Encoder.close(1012, "moves"))
      outbox:detach()
      outbox:push_latest(C, "key")
      assert.are.equal(2, outbox.count)
      assert.are.equal(A .. C, outbox:take())
    end)

    it("replaces by key behind a rest, and after it is lost", function()
      push(A)
      outbox:push_latest(B, "key")
      local bytes = outbox:take()
      outbox:sent(2)
      outbox:put_back(bytes:sub(3))
      outbox:push_latest(B, "key")
      outbox:push_latest(C, "key")
      outbox:push_latest(A, "other")
      outbox:detach()
      outbox:push_latest(B, "other")
      assert.are.equal(2, outbox.count)
      assert.are.equal(C .. B, outbox:take())
      assert.are.same({ A, B, C, B }, ring:frames())
    end)

    it("asks the client when much has left", function()
      Config.SESSION_BYTES, Config.OUTBOX_BYTES = 1000000, 1000000
      local large = Encoder.frame(("x"):rep(70000), false)
      push(large)
      local bytes = outbox:take()
      assert.are.equal(large .. "\137\0011", bytes)
      assert.are.equal(#bytes, outbox.bytes)
      outbox:sent(#bytes)
      assert.are.equal(before, Outbox.total())
      push(large)
      assert.are.equal(#large, #outbox:take())
    end)
  end)
end)
