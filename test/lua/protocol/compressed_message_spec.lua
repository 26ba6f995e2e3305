local ffi = require "ffi"
local Client = require "support.client"
local MessageParser = require "framegate.protocol.message_parser"
local Zlib = require "framegate.protocol.zlib"

local CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
local RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10
local HELLO = "\242\72\205\201\201\7\0" -- RFC 7692 section 7.2.3.1

local function frame(opcode, payload, options)
  options = options or {}
  local mask = "\129\66\203\4"
  local head = { opcode = opcode, length = #payload, fin = options.fin, reserved = options.reserved, mask = mask }
  return Client.header(head) .. Client.masked(payload, mask)
end

local COMPRESSED = { reserved = RSV1 }
local BEGINNING = { reserved = RSV1, fin = false }
local MORE = { fin = false }

local function deflate(text) return assert(Zlib.deflate(15, ffi.cast("const uint8_t *", text), #text)) end

-- What a stream gives, read whole and byte by byte: the same.
local function read(stream, options)
  options = options or {}
  local function parse(pieces)
    local messages, results = MessageParser.new(options.max_bytes or 1048576), {}
    for _, piece in ipairs(pieces) do
      messages:push(piece, not options.is_plain)
      repeat
        local kind, payload, code = messages:next()
        if kind and kind ~= "fragment" then
          results[#results + 1] = { kind, kind == "error" and code or payload, messages.deflated }
        end
      until not kind or kind == "error"
    end
    return results
  end
  local whole = parse { stream }
  local last = whole[#whole]
  if #stream < 5000 and not (last and last[1] == "error") then
    assert.are.same(whole, parse(Client.cut(stream, { 1 })))
  end
  return whole
end

describe("a compressed message", function()
  setup(function() assert(Zlib.load "libz.so.1") end)

  it("is marked in its only frame (R22)", function()
    assert.are.same({ { "text", "Hello", 7 } }, read(frame(TEXT, HELLO, COMPRESSED)))
    assert.are.same({ { "binary", "Hello", 7 } }, read(frame(BINARY, HELLO, COMPRESSED)))
  end)

  it("is marked in the first of its frames, which may be cut anywhere, and empty", function()
    for i = 0, #HELLO do
      local stream = frame(TEXT, HELLO:sub(1, i), BEGINNING) .. frame(CONTINUATION, HELLO:sub(i + 1))
      assert.are.same({ { "text", "Hello", 7 } }, read(stream))
    end
    local bytes = { frame(TEXT, "", BEGINNING) }
    for i = 1, #HELLO do
      bytes[#bytes + 1] = frame(CONTINUATION, HELLO:sub(i, i), MORE)
    end
    bytes[#bytes + 1] = frame(CONTINUATION, "")
    assert.are.same({ { "text", "Hello", 7 } }, read(table.concat(bytes)))
  end)

  it("may have control frames between its frames", function()
    local stream = frame(TEXT, HELLO:sub(1, 3), BEGINNING) .. frame(PING, "p") .. frame(CONTINUATION, HELLO:sub(4))
    assert.are.same({ { "ping", "p" }, { "text", "Hello", 7 } }, read(stream))
  end)

  it("may come between others, in any order", function()
    local plain = frame(TEXT, "a", MORE) .. frame(CONTINUATION, "b")
    local compressed = frame(BINARY, HELLO, COMPRESSED)
    local stream = plain .. compressed .. plain .. compressed .. compressed
    local expected = { { "text", "ab" }, { "binary", "Hello", 7 }, { "text", "ab" } }
    expected[4], expected[5] = expected[2], expected[2]
    assert.are.same(expected, read(stream))
  end)

  it("may be empty, and nearly as long as plain ones are", function()
    assert.are.same({ { "text", "", 1 } }, read(frame(TEXT, "\0", COMPRESSED)))
    assert.are.same({ { "text", "", 0 } }, read(frame(TEXT, "", COMPRESSED)))
    local text = ("0123456789"):rep(10000)
    assert.are.same(
      { { "text", text, #deflate(text) } },
      read(frame(TEXT, deflate(text), COMPRESSED), { max_bytes = #text })
    )
  end)

  it("is longer than allowed only when its data are: 1009", function()
    local stored = "\0\100\0\155\255" .. ("x"):rep(100) .. "\0" -- a block without compression
    assert.are.same({ { "binary", ("x"):rep(100), 106 } }, read(frame(BINARY, stored, COMPRESSED), { max_bytes = 100 }))
    assert.are.same({ { "error", 1009 } }, read(frame(BINARY, stored, COMPRESSED), { max_bytes = 99 }))
    local bomb = deflate(("\0"):rep(10000000))
    assert.are.same({ { "error", 1009 } }, read(frame(BINARY, bomb, COMPRESSED), { max_bytes = 100000 }))
  end)

  it("is refused at its header when it is long as it is: 1009", function()
    local head = Client.header { opcode = TEXT, length = 1400000, reserved = RSV1 }
    assert.are.same({ { "error", 1009 } }, read(head))
    assert.are.same({}, read(Client.header { opcode = TEXT, length = 1300000, reserved = RSV1 }))
  end)

  it("that is no deflate data, or is cut off, is 1007", function()
    for _, data in ipairs { "\255", "Hello", HELLO:sub(1, 5), HELLO .. "\255" } do
      assert.are.same({ { "error", 1007 } }, read(frame(TEXT, data, COMPRESSED)))
      assert.are.same({ { "error", 1007 } }, read(frame(BINARY, data, COMPRESSED)))
    end
  end)

  it("of text is UTF-8 when it is decompressed, or 1007", function()
    local bad = ("abc\237\160\128"):rep(20)
    assert.are.same({ { "error", 1007 } }, read(frame(TEXT, deflate(bad), COMPRESSED)))
    assert.are.same({ { "error", 1007 } }, read(frame(TEXT, deflate(("\206\186"):rep(40) .. "\206"), COMPRESSED)))
    assert.are.same({ { "binary", bad, #deflate(bad) } }, read(frame(BINARY, deflate(bad), COMPRESSED)))
    local good = ("\206\186\225\189\185"):rep(30000)
    assert.are.same({ { "text", good, #deflate(good) } }, read(frame(TEXT, deflate(good), COMPRESSED)))
  end)

  it("has its mark nowhere else: 1002", function()
    for _, stream in ipairs {
      frame(TEXT, HELLO, BEGINNING) .. frame(CONTINUATION, "", COMPRESSED),
      frame(TEXT, "a", MORE) .. frame(CONTINUATION, HELLO, COMPRESSED),
      frame(PING, "", COMPRESSED),
      frame(PONG, HELLO, COMPRESSED),
      frame(CLOSE, "\3\232", COMPRESSED),
      frame(TEXT, HELLO, { reserved = RSV1 + RSV2 }),
      frame(TEXT, HELLO, { reserved = RSV1 + RSV3 }),
      frame(TEXT, "a", { reserved = RSV2 }),
      frame(BINARY, "a", { reserved = RSV3 }),
      frame(0x3, "a", COMPRESSED),
    } do
      local results = read(stream)
      assert.are.same({ "error", 1002 }, results[#results])
    end
  end)

  it("needs an agreement: 1002", function()
    assert.are.same({ { "error", 1002 } }, read(frame(TEXT, HELLO, COMPRESSED), { is_plain = true }))
    assert.are.same({ { "text", "a" } }, read(frame(TEXT, "a"), { is_plain = true }))
  end)

  it("does not decide how the parser's next socket is read", function()
    local messages = MessageParser.new(1000)
    messages:push(frame(TEXT, HELLO, COMPRESSED), true)
    assert.are.equal("Hello", select(2, messages:next()))
    assert.is_false(messages:is_unfinished())
    messages:push(frame(TEXT, HELLO, COMPRESSED), false)
    assert.are.equal(1002, select(3, messages:next()))
  end)
end)
