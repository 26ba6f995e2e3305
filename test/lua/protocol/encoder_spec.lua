require "support.ngx"
local Encoder = require "framegate.protocol.encoder"

describe("a frame", function()
  -- The three forms of a length (RFC 6455 section 5.2), each with its least and its greatest.
  local HEADERS = {
    [0] = "\0",
    [1] = "\1",
    [125] = "\125",
    [126] = "\126\0\126",
    [65535] = "\126\255\255",
    [65536] = "\127\0\0\0\0\0\1\0\0",
    [1048576] = "\127\0\0\0\0\0\16\0\0",
  }

  for bytes, header in pairs(HEADERS) do
    it("of " .. bytes .. " bytes", function()
      local payload = ("x"):rep(bytes)
      assert.is_true("\129" .. header .. payload == Encoder.frame(payload, true))
      assert.is_true("\130" .. header .. payload == Encoder.frame(payload, false))
    end)
  end
end)

describe("a message for many", function()
  it("is its frame, with the size of its payload", function()
    assert.are.same({ frame = "\129\5h\195\164y\240", payload_bytes = 5 }, Encoder.message("h\195\164y\240", true))
    assert.are.equal(65536, Encoder.message(("x"):rep(65536), false).payload_bytes)
  end)
end)

describe("a control frame", function()
  it("pings with nothing, and answers with what was sent", function()
    assert.are.equal("\137\0", Encoder.PING)
    assert.are.equal("\138\0", Encoder.pong(""))
    assert.are.equal("\138\3abc", Encoder.pong("abc"))
    assert.are.equal("\138\125" .. ("x"):rep(125), Encoder.pong(("x"):rep(125)))
  end)

  it("closes with a code and a reason, a code, or neither", function()
    assert.are.equal("\136\6\3\232done", Encoder.close(1000, "done"))
    assert.are.equal("\136\2\15\161", Encoder.close(4001))
    assert.are.equal("\136\0", Encoder.close())
  end)

  it(
    "closes with as much of a reason as fits, between characters",
    function() assert.are.equal("\136\124\3\233" .. ("\195\164"):rep(61), Encoder.close(1001, ("\195\164"):rep(70))) end
  )
end)

describe("a frame that was made here", function()
  it("is a message of the application, or something of the gateway's own", function()
    for _, payload in ipairs { "", "a", "\0\0", '\0\0{"received":1}', ("x"):rep(126), ("\0"):rep(70000) } do
      assert.is_true(Encoder.is_message(Encoder.frame(payload, true)))
    end
    for _, payload in ipairs { "", "\0", "\0a", ("\0"):rep(126) } do
      assert.is_true(Encoder.is_message(Encoder.frame(payload, false)))
    end
    for _, frame in ipairs {
      Encoder.PING,
      Encoder.ping "1",
      Encoder.pong "\0",
      Encoder.close(1000),
      Encoder.frame('\0{"received":1}', true),
    } do
      assert.is_false(Encoder.is_message(frame))
    end
  end)
end)

describe("frames behind one another", function()
  it("are read as they were made", function()
    local frames, position = "", 1
    for _, bytes in ipairs { 0, 1, 125, 126, 65535, 65536 } do
      frames = frames .. Encoder.frame(("x"):rep(bytes), bytes % 2 == 0)
    end
    frames = frames .. Encoder.close(1000, "done")
    for _, bytes in ipairs { 0, 1, 125, 126, 65535, 65536 } do
      local opcode, payload, next_position = Encoder.read(frames, position)
      assert.are.same({ bytes % 2 == 0 and 1 or 2, bytes }, { opcode, #payload })
      position = next_position
    end
    assert.are.same({ 8, "\3\232done", #frames + 1 }, { Encoder.read(frames, position) })
  end)
end)

describe("a frame that is compressed", function()
  local Zlib = require "framegate.protocol.zlib"

  setup(function() assert(Zlib.load "libz.so.1") end)

  for _, bytes in ipairs { 30, 125, 126, 65535, 65536, 300000 } do
    it("of " .. bytes .. " bytes has its kind, its mark, and its own length", function()
      for _, is_text in ipairs { true, false } do
        local payload = ("0123456789"):rep(bytes / 10 + 1):sub(1, bytes)
        local sent = Encoder.compressed(Encoder.frame(payload, is_text), 15)
        assert.is_true(#sent < Encoder.frame_bytes(bytes))
        local opcode, deflated, next_position = Encoder.read(sent, 1)
        assert.are.equal(0x40 + (is_text and 1 or 2), opcode)
        assert.are.equal(#sent + 1, next_position)
        assert.are.equal(payload, Zlib.inflate(deflated, bytes))
      end
    end)

    it(
      "of " .. bytes .. " bytes is as long as was said",
      function() assert.are.equal(#Encoder.frame(("x"):rep(bytes), true), Encoder.frame_bytes(bytes)) end
    )
  end

  it(
    "is none if that would not be shorter",
    function() assert.is_nil(Encoder.compressed(Encoder.frame("ab", true), 15)) end
  )
end)
