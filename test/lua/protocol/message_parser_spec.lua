local Client = require "support.client"
local MessageParser = require "framegate.protocol.message_parser"

local frame = Client.frame
local CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
local MORE = { fin = false }

-- What a stream gives, read whole, and byte by byte. Both must be the same.
local function read(stream, max_bytes)
  local whole = Client.read({ stream }, max_bytes)
  assert.are.same(whole, (Client.read(Client.cut(stream, { 1 }), max_bytes)))
  return whole
end

local function error_of(stream, max_bytes)
  local results = read(stream, max_bytes)
  local last = results[#results] or {}
  assert.are.equal("error", last[1])
  assert.is_string(last[2])
  assert.is_true(#last[2] > 0 and #last[2] <= 123, "words for a close reason")
  return last[3], last[2], #results - 1
end

describe("a message", function()
  it("of one frame", function()
    for _, length in ipairs { 0, 1, 5, 125, 126, 127, 65535, 65536 } do
      local payload = ("x"):rep(length)
      assert.are.same({ { "text", payload } }, (Client.read { frame(TEXT, payload) }))
      assert.are.same({ { "binary", payload } }, (Client.read { frame(BINARY, payload) }))
    end
  end)

  it("of any bytes, when it is binary (R15)", function()
    local payload = "\0\255\254\128\237\160\128"
    assert.are.same({ { "binary", payload } }, read(frame(BINARY, payload)))
  end)

  it("in fragments has the kind of the first (R9)", function()
    local rest = frame(CONTINUATION, "b", MORE) .. frame(CONTINUATION, "c")
    assert.are.same({ { "text", "abc" } }, read(frame(TEXT, "a", MORE) .. rest))
    assert.are.same({ { "binary", "abc" } }, read(frame(BINARY, "a", MORE) .. rest))
  end)

  it("in fragments that are empty", function()
    assert.are.same(
      { { "text", "" } },
      read(frame(TEXT, "", MORE) .. frame(CONTINUATION, "", MORE) .. frame(CONTINUATION, ""))
    )
    assert.are.same(
      { { "text", "a" } },
      read(frame(TEXT, "", MORE) .. frame(CONTINUATION, "a", MORE) .. frame(CONTINUATION, ""))
    )
    assert.are.same({ { "binary", "b" } }, read(frame(BINARY, "b", MORE) .. frame(CONTINUATION, "")))
  end)

  it("after another, several in one read (R3)", function()
    local stream, expected = "", {}
    for i = 1, 20 do
      stream = stream .. frame(TEXT, "one " .. i) .. frame(BINARY, "two", MORE) .. frame(CONTINUATION, tostring(i))
      expected[#expected + 1] = { "text", "one " .. i }
      expected[#expected + 1] = { "binary", "two" .. i }
    end
    assert.are.same(expected, read(stream))
  end)

  it("is given out as soon as its last byte is there", function()
    local messages = MessageParser.new(100)
    local stream = frame(TEXT, "hello")
    for i = 1, #stream - 1 do
      messages:push(stream:sub(i, i))
      assert.is_nil((messages:next()))
    end
    messages:push(stream:sub(-1))
    assert.are.same({ "text", "hello" }, { messages:next() })
    assert.is_nil((messages:next()))
  end)

  it("in 65,536 fragments (R12)", function()
    local part = ("0123456789abcdef"):rep(4)
    local stream = frame(TEXT, part, MORE) .. frame(CONTINUATION, part, MORE):rep(65534) .. frame(CONTINUATION, part)
    local results = Client.read(Client.cut(stream, { 65536 }), 65536 * 64)
    assert.are.equal(1, #results)
    assert.are.equal("text", results[1][1])
    assert.is_true(part:rep(65536) == results[1][2])
  end)

  it("in every number of fragments around a group of them", function()
    for _, count in ipairs { 2, 255, 256, 257, 511, 512, 513 } do
      local parts = {}
      for i = 1, count do
        parts[i] = frame(i == 1 and BINARY or CONTINUATION, tostring(i) .. ",", { fin = i == count })
      end
      local expected = {}
      for i = 1, count do
        expected[i] = i .. ","
      end
      local twice = table.concat(parts):rep(2)
      local message = { "binary", table.concat(expected) }
      assert.are.same({ message, message }, (Client.read { twice }), count .. " fragments")
    end
  end)
end)

describe("a control frame", function()
  it("of each kind, with its payload", function()
    for opcode, kind in pairs { [PING] = "ping", [PONG] = "pong", [CLOSE] = "close" } do
      for _, payload in ipairs { "", "\0\255\128", ("p"):rep(125) } do
        assert.are.same({ { kind, payload } }, read(frame(opcode, payload)))
      end
    end
  end)

  it("between fragments is given out at once (R10)", function()
    local stream = frame(TEXT, "a", MORE)
      .. frame(PING, "1")
      .. frame(CONTINUATION, "b", MORE)
      .. frame(PONG, "2")
      .. frame(PING, "3")
      .. frame(CONTINUATION, "c")
      .. frame(TEXT, "next")
    assert.are.same(
      { { "ping", "1" }, { "pong", "2" }, { "ping", "3" }, { "text", "abc" }, { "text", "next" } },
      read(stream)
    )
  end)

  it("does not disturb a character that it interrupts, nor is it text itself", function()
    local stream = frame(TEXT, "\226\130", MORE) .. frame(PING, "\255\254") .. frame(CONTINUATION, "\172")
    assert.are.same({ { "ping", "\255\254" }, { "text", "\226\130\172" } }, read(stream))
  end)

  it("does not count as part of the message", function()
    local stream = frame(TEXT, "abcde", MORE) .. frame(PING, ("p"):rep(125)):rep(3) .. frame(CONTINUATION, "fghij")
    local results = read(stream, 10)
    assert.are.same({ "text", "abcdefghij" }, results[4])
  end)

  it(
    "may be a close in the middle of a message (R16)",
    function() assert.are.same({ { "close", "\3\232" } }, read(frame(TEXT, "half", MORE) .. frame(CLOSE, "\3\232"))) end
  )
end)

describe("what breaks the protocol fails with 1002", function()
  local cases = {
    ["a continuation of nothing (R11)"] = frame(CONTINUATION, "a"),
    ["a continuation that goes on with nothing"] = frame(CONTINUATION, "a", MORE),
    ["a continuation behind a whole message"] = frame(TEXT, "a") .. frame(CONTINUATION, "b"),
    ["a continuation behind fragments that ended"] = frame(TEXT, "a", MORE)
      .. frame(CONTINUATION, "b")
      .. frame(CONTINUATION, "c"),
    ["a text inside a text (R11)"] = frame(TEXT, "a", MORE) .. frame(TEXT, "b"),
    ["a binary inside a text"] = frame(TEXT, "a", MORE) .. frame(BINARY, "b", MORE),
    ["a text inside a binary, a ping between"] = frame(BINARY, "a", MORE) .. frame(PING, "") .. frame(TEXT, "b"),
    ["a reserved bit in a continuation"] = frame(TEXT, "a", MORE)
      .. Client.header { opcode = CONTINUATION, reserved = 0x40 },
    ["a reserved opcode"] = Client.header { opcode = 3 },
    ["a ping in fragments"] = Client.header { opcode = PING, fin = false },
    ["a long ping"] = Client.header { opcode = PING, length = 126 },
    ["a frame without a mask"] = Client.header { opcode = TEXT, unmasked = true },
    ["a wasteful length"] = Client.header { opcode = TEXT, length = 2, form = 16 },
    ["a length whose first bit is set"] = "\130\255\128" .. ("\0"):rep(7) .. "mask",
  }
  for name, stream in pairs(cases) do
    it(name, function()
      assert.are.equal(1002, (error_of(stream)))
      local good = frame(TEXT, "before") .. frame(PING, "it")
      local code, _, before = error_of(good .. stream)
      assert.are.equal(1002, code)
      assert.is_true(before >= 2, "what came before is given out first")
    end)
  end
end)

describe("a message that is too big fails with 1009 (R1)", function()
  it("with its header, before its payload came", function()
    for _, length in ipairs { 11, 126, 65536, 2 ^ 40 } do
      local code, words = error_of(Client.header { opcode = BINARY, length = length }, 10)
      assert.are.equal(1009, code)
      assert.matches("10 bytes", words)
    end
  end)

  it("with the header of the fragment that makes it so", function()
    local stream = frame(BINARY, "abcdef", MORE) .. frame(CONTINUATION, "ghij", MORE)
    assert.are.same({}, read(stream, 10))
    assert.are.equal(1009, (error_of(stream .. Client.header { opcode = CONTINUATION, length = 1 }, 10)))
    assert.are.equal(
      1009,
      (error_of(frame(TEXT, "a", MORE) .. Client.header { opcode = CONTINUATION, length = 2 ^ 52 }, 10))
    )
  end)

  it("and one of just that size is none, each time", function()
    local stream = frame(BINARY, "0123456789")
      .. frame(TEXT, "01234", MORE)
      .. frame(CONTINUATION, "56789", MORE)
      .. frame(CONTINUATION, "")
    assert.are.same(
      { { "binary", "0123456789" }, { "text", "0123456789" }, { "binary", "0123456789" }, { "text", "0123456789" } },
      read(stream:rep(2), 10)
    )
  end)
end)

describe("a text that is not UTF-8 fails with 1007 (R13)", function()
  it("at its end", function()
    assert.are.equal(1007, (error_of(frame(TEXT, "\206\186\225\189\185\237\160\128"))))
    assert.are.equal(1007, (error_of(frame(TEXT, "ends inside \226\130"))))
    assert.are.equal(1007, (error_of(frame(TEXT, "\226", MORE) .. frame(CONTINUATION, "\130"))))
    assert.are.equal(1007, (error_of(frame(TEXT, "\226", MORE) .. frame(CONTINUATION, ""))))
  end)

  it("within a frame, with the first byte that is wrong (R14)", function()
    local good, bad = "\206\186\225\189\185\207\131", "\244\144"
    local stream = Client.header { opcode = TEXT, length = 100, mask = "\0\0\0\0" } .. good .. bad
    local messages = MessageParser.new(1000)
    for i = 1, #stream - 1 do
      messages:push(stream:sub(i, i))
      assert.is_nil((messages:next()))
    end
    messages:push(stream:sub(-1))
    local kind, _, code = messages:next()
    assert.are.same({ "error", 1007 }, { kind, code })
  end)

  it("within a fragment, before the message ended", function()
    local stream = frame(TEXT, "good", MORE) .. frame(CONTINUATION, "\237\160", MORE)
    assert.are.equal(1007, (error_of(stream)))
  end)

  it("but may have its characters cut by fragments", function()
    local text = "\195\177\226\130\172\240\159\152\128"
    for last = 0, #text do
      local stream = frame(TEXT, text:sub(1, last), MORE) .. frame(CONTINUATION, text:sub(last + 1))
      assert.are.same({ { "text", text } }, read(stream))
    end
  end)

  it(
    "and the next message begins anew",
    function()
      assert.are.same(
        { { "binary", "\226" }, { "text", "a" }, { "text", "\226\130\172" } },
        read(frame(BINARY, "\226") .. frame(TEXT, "a") .. frame(TEXT, "\226\130\172"))
      )
    end
  )
end)

it("shows how much of a message has arrived, and not what it announces", function()
  local messages = MessageParser.new(100)
  messages:push(frame(TEXT, "abc", MORE) .. frame(CONTINUATION, "defg"):sub(1, 8))
  repeat
    local kind = messages:next()
  until not kind
  assert.are.equal(5, messages:received())
end)

describe("is_unfinished", function()
  local function after(stream)
    local _, messages = Client.read { stream }
    return messages:is_unfinished()
  end

  it("is false between messages", function()
    assert.is_false(MessageParser.new(10):is_unfinished())
    assert.is_false(after(frame(TEXT, "a")))
    assert.is_false(after(frame(TEXT, "")))
    assert.is_false(after(frame(TEXT, "a", MORE) .. frame(CONTINUATION, "b")))
    assert.is_false(after(frame(PING, "p")))
  end)

  it("false means as good as new: the same parser may serve another socket", function()
    local streams = {
      frame(TEXT, "\226\130\172", MORE) .. frame(CONTINUATION, "b"),
      frame(BINARY, "\226"),
      frame(PING, "p"),
      frame(TEXT, ""),
      frame(CLOSE, ""),
      frame(TEXT, ("x"):rep(10)),
      frame(BINARY, "a", MORE) .. frame(CONTINUATION, "", MORE):rep(300) .. frame(CONTINUATION, "z"),
    }
    local used = MessageParser.new(10)
    for _, stream in ipairs(streams) do
      local expected = Client.read({ stream }, 10)
      used:push(stream)
      local result
      repeat
        result = { used:next() }
      until result[1] ~= "fragment"
      assert.are.same(expected, { result })
      assert.is_nil((used:next()))
      assert.is_false(used:is_unfinished())
    end
  end)

  it("is true within a header, a payload, a message and a control frame", function()
    for _, stream in ipairs { frame(TEXT, "hello"), frame(PING, "hello"), frame(TEXT, ("x"):rep(300)) } do
      for last = 1, #stream - 1 do
        assert.is_true(after(stream:sub(1, last)), "behind byte " .. last)
      end
    end
    assert.is_true(after(frame(TEXT, "a", MORE)))
    assert.is_true(after(frame(TEXT, "", MORE)))
    assert.is_true(after(frame(TEXT, "a", MORE) .. frame(PING, "p")))
    assert.is_true(after(frame(TEXT, "a") .. "\129"))
  end)
end)
