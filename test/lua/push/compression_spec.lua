local Worker = require "support.worker"
local Config = require "framegate.config"
local Compression = require "framegate.push.compression"
local Encoder = require "framegate.protocol.encoder"
local Outbox = require "framegate.push.outbox"
local Ring = require "framegate.session.ring"
local Zlib = require "framegate.protocol.zlib"

local LONG = ("a long text "):rep(100)

-- A message on the wire as its opcode, its mark, and its payload as it is.
local function read(sent)
  local first, length = sent:byte(1, 2)
  local payload = sent:sub((length < 126 and 2 or length == 126 and 4 or 10) + 1)
  local is_compressed = first >= 0xC0
  return first % 16, is_compressed, is_compressed and Zlib.inflate(payload, 1e9) or payload
end

describe("compression", function()
  local worker, compression

  local function runs() return worker.counted.framegate_compressions_total or 0 end

  before_each(function()
    worker = Worker.new()
    Compression.start()
    compression = assert(Compression.negotiate "permessage-deflate")
  end)

  after_each(function() assert.are.same({}, worker.lines) end)

  it("is the same for all who have agreed on the same window, however they have asked", function()
    assert.are.equal(compression, (Compression.negotiate "permessage-deflate; client_max_window_bits"))
    local same, answer = Compression.negotiate "permessage-deflate; server_max_window_bits=15"
    assert.are.equal(compression, same)
    assert.matches("; server_max_window_bits=15$", answer)
    assert.are_not.equal(compression, (Compression.negotiate "permessage-deflate; server_max_window_bits=12"))
    assert.is_nil(Compression.negotiate "permessage-deflate; server_max_window_bits=8")
    assert.is_nil(Compression.negotiate(nil))
  end)

  it("marks a message, and keeps its kind", function()
    for opcode = 1, 2 do
      local sent = compression:apply(Encoder.frame(LONG, opcode == 1))
      assert.are.same({ opcode, true, LONG }, { read(sent) })
      assert.is_true(#sent < 100)
    end
  end)

  it("leaves short messages as they are, and those that would not get shorter, and control frames", function()
    Config.COMPRESSION_MIN_BYTES = 126
    Compression.start()
    compression = Compression.negotiate "permessage-deflate"
    local short, enough = Encoder.frame(("x"):rep(125), true), Encoder.frame(("x"):rep(126), true)
    assert.are.equal(short, compression:apply(short))
    assert.are_not.equal(enough, compression:apply(enough))
    Config.COMPRESSION_MIN_BYTES = 0
    Compression.start()
    compression = Compression.negotiate "permessage-deflate"
    for _, frame in ipairs {
      Encoder.frame("", true),
      Encoder.frame("abc", true),
      Encoder.ping(("p"):rep(125)),
      Encoder.pong(("p"):rep(125)),
      Encoder.close(1000, ("r"):rep(123)),
    } do
      assert.are.equal(frame, compression:apply(frame))
    end
    assert.are_not.equal(short, compression:apply(short))
  end)

  it("works once for all receivers, however far apart they are", function()
    local other = Encoder.frame(LONG .. "!", true)
    local sent = compression:apply(Encoder.frame(LONG, true))
    for _ = 1, 5 do
      compression:apply(other)
      assert.are.equal(sent, compression:apply(Encoder.frame(LONG, true)))
    end
    assert.are.equal(2, runs())
    assert.are.equal(11, worker.counted["framegate_compressed_frames_total/out"])
    assert.are.equal(6 * #LONG + 5 * #LONG + 5, worker.counted["framegate_compression_bytes_total/out/plain"])
    assert.is_true(worker.counted["framegate_compression_bytes_total/out/compressed"] < 11 * 100)
  end)

  it("works once also for what does not get shorter, which is not counted as compressed", function()
    local out, value = {}, 1
    for i = 1, 300 do
      value = value * 16807 % 2147483647
      out[i] = string.char(value % 256)
    end
    local frame = Encoder.frame(table.concat(out), false)
    for _ = 1, 3 do
      assert.are.equal(frame, compression:apply(frame))
    end
    assert.are.equal(1, runs())
    assert.is_nil(worker.counted["framegate_compressed_frames_total/out"])
  end)

  it("forgets what was sent long ago", function()
    local first = Encoder.frame(("x"):rep(200 * 1024), false)
    local function apply_others(number)
      for i = 1, number do
        compression:apply(Encoder.frame(("%05d"):format(i):rep(40 * 1024), false))
      end
    end
    compression:apply(first)
    apply_others(1)
    compression:apply(first)
    assert.are.equal(2, runs())
    apply_others(20)
    assert.are.equal(21, runs())
    compression:apply(first)
    assert.are.equal(22, runs())
  end)

  it("leaves a message as it is that would hold up the others for long", function()
    local frame = Encoder.frame(("x"):rep(256 * 1024), false)
    assert.are.equal(frame, compression:apply(frame))
    assert.are.equal(0, runs())
  end)

  it("is not there when it is off", function()
    Config.COMPRESSION = false
    Compression.start "libnone.so.9"
    assert.is_nil(Compression.negotiate "permessage-deflate")
  end)

  it("is not there without zlib, with a warning", function()
    Compression.start "libnone.so.9"
    assert.is_nil(Compression.negotiate "permessage-deflate")
    assert.are.equal(1, #worker.lines)
    assert.matches("COMPRESSION=on.*libnone", worker.lines[1])
    worker.lines[1] = nil
  end)

  describe("of an outbox", function()
    local outbox, before
    local long, short = Encoder.frame(LONG, true), Encoder.frame("short", true)

    before_each(function()
      Config.OUTBOX_BYTES, Config.SESSION_BYTES = 100000, 100000
      before = Outbox.total()
      outbox = Outbox.new()
      outbox:set_transport { compression = compression, wake = function() end }
    end)

    after_each(function() assert.are.equal(before, Outbox.total()) end)

    local function push(...)
      for _, frame in ipairs { ... } do
        outbox:push(frame)
      end
    end

    it("happens when frames are taken, and their bytes count from then on", function()
      local sent = compression:apply(long)
      for _, frames in ipairs { { long }, { short }, { long, short }, { short, long, long } } do
        push(unpack(frames))
        local plain, expected = table.concat(frames), {}
        for i, frame in ipairs(frames) do
          expected[i] = frame == long and sent or frame
        end
        assert.are.equal(#plain, outbox.bytes)
        local bytes = outbox:take()
        assert.are.equal(table.concat(expected), bytes)
        assert.are.equal(#bytes, outbox.bytes)
        assert.are.equal(before + #bytes, Outbox.total())
        outbox:sent(#bytes)
      end
    end)

    it("does not touch the rest of a write, even if that looks like a frame", function()
      local sent = compression:apply(long)
      push(long, long)
      local bytes = outbox:take()
      outbox:sent(0)
      outbox:put_back(bytes)
      assert.are.equal(#sent * 2, outbox.bytes)
      push(long)
      bytes = outbox:take()
      assert.are.equal(sent .. sent .. sent, bytes)
      outbox:sent(7)
      outbox:put_back(bytes:sub(8))
      bytes = outbox:take()
      assert.are.equal((sent .. sent .. sent):sub(8), bytes)
      outbox:sent(#bytes)
      push(long)
      bytes = outbox:take()
      assert.are.equal(sent, bytes)
      outbox:sent(#bytes)
    end)

    it("leaves frames with keys replaceable, also behind a rest", function()
      local other = Encoder.frame(LONG .. "!", true)
      outbox:push_latest(long, "a")
      local bytes = outbox:take()
      outbox:put_back(bytes)
      outbox:push_latest(long, "a")
      outbox:push_latest(other, "a")
      local rest = bytes
      bytes = outbox:take()
      assert.are.equal(rest .. compression:apply(other), bytes)
      outbox:sent(#bytes)
    end)

    it("leaves the messages that a session keeps as they are, with the ping behind them", function()
      local ring, sent = Ring.new(), compression:apply(long)
      outbox:set_ring(ring)
      push(short, long)
      local bytes = outbox:take()
      assert.are.equal(short .. sent, bytes)
      assert.are.same({ short, long }, ring:frames())
      outbox:sent(3)
      outbox:put_back(bytes:sub(4))
      push(long)
      bytes = outbox:take()
      assert.are.equal((short .. sent):sub(4) .. sent, bytes)
      assert.are.same({ short, long, long }, ring:frames())
      outbox:sent(#bytes)
      local large = Encoder.frame(("y"):rep(70000), true)
      push(large)
      bytes = outbox:take()
      assert.are.equal(compression:apply(large) .. "\137\0014", bytes)
      outbox:sent(#bytes)
    end)

    it("loses what was compressed with its transport, and keeps what waits as it is", function()
      local ring = Ring.new()
      outbox:set_ring(ring)
      push(long)
      outbox:put_back(outbox:take())
      push(long, short)
      outbox:detach()
      assert.are.same({ long, short }, (outbox:contents()))
      assert.are.equal(#long + #short, outbox.bytes)
      outbox:set_transport {}
      local bytes = outbox:take()
      assert.are.equal(long .. short, bytes)
      outbox:sent(#bytes)
    end)
  end)

  it("is applied to frames one behind the other", function()
    local long = Encoder.frame(LONG, true)
    local frames = Encoder.frame("\0{}", true) .. Encoder.ping "7" .. long .. long
    local sent = compression:apply(long)
    assert.are.equal(frames:sub(1, -2 * #long - 1) .. sent .. sent, compression:apply_all(frames))
    assert.are.equal("", compression:apply_all "")
  end)
end)
