local StreamParser = require "framegate.dispatch.stream_parser"

local LINES, EVENTS = "application/x-ndjson", "text/event-stream; charset=utf-8"

-- The frames of a stream that comes in these pieces, and what is wrong with it.
local function parse(headers, pieces, most)
  local parser = assert(StreamParser.of({ status = 200, headers = headers }, most or 100))
  local frames = {}
  for _, piece in ipairs(pieces) do
    local some, err = parser:feed(piece, true)
    for _, frame in ipairs(some) do
      frames[#frames + 1] = frame
    end
    if err then
      return frames, err
    end
  end
  local last, err = parser:finish()
  for _, frame in ipairs(last) do
    frames[#frames + 1] = frame
  end
  return frames, err
end

-- The same, in one piece and byte by byte.
local function parse_both(headers, text, most)
  local bytes = {}
  for byte in text:gmatch(".") do
    bytes[#bytes + 1] = byte
  end
  local frames, err = parse(headers, { text }, most)
  local singly, other = parse(headers, bytes, most)
  assert.are.same({ frames, err or "" }, { singly, other or "" })
  return frames, err
end

describe("a streamed answer", function()
  it("is one by its content type, or by ws-stream, and only if it succeeds", function()
    local function is_text(headers, status)
      local parser = StreamParser.of({ status = status or 200, headers = headers }, 1)
      return parser and parser.is_text
    end
    assert.is_true(is_text { ["content-type"] = "Application/X-NDJSON" })
    assert.is_true(is_text { ["content-type"] = EVENTS })
    assert.is_true(is_text { ["content-type"] = "text/plain", ["ws-stream"] = "1" })
    assert.is_false(is_text { ["content-type"] = "application/octet-stream", ["ws-stream"] = "1" })
    assert.is_false(is_text { ["ws-stream"] = "1" })
    assert.is_nil(is_text { ["content-type"] = "text/plain" })
    assert.is_nil(is_text { ["content-type"] = "application/x-ndjsonp" })
    assert.is_nil(is_text { ["content-type"] = "text/plain", ["ws-stream"] = "0" })
    assert.is_nil(is_text { ["content-type"] = { LINES, LINES } })
    assert.is_nil(is_text({ ["content-type"] = LINES }, 404))
    assert.is_nil(is_text { ["content-type"] = "application/vnd.framegate.effects+json", ["ws-stream"] = "1" })
  end)

  describe("of lines", function()
    local headers = { ["content-type"] = LINES }

    it("has a frame for each that is not empty, the last one also without its end", function()
      assert.are.same({ '{"a":1}', "2", "ü" }, (parse_both(headers, '{"a":1}\n2\r\n\n\r\nü')))
      assert.are.same({}, (parse_both(headers, "")))
    end)

    it("is refused when one is too long, or no UTF-8", function()
      local frames, err = parse_both(headers, "12345\n123456\n", 5)
      assert.are.same({ { "12345" }, StreamParser.TOO_LARGE }, { frames, err })
      assert.matches("UTF%-8", select(2, parse_both(headers, "\255\n")))
      assert.matches("UTF%-8", select(2, parse_both(headers, "\195")))
    end)
  end)

  describe("of events", function()
    local headers = { ["content-type"] = EVENTS }

    it("has a frame for the data of each", function()
      local text =
        "data: one\n\ndata:two\ndata: lines\r\n\r\nevent: x\nid: 7\ndata\ndata:  a\r\r: a comment\n\ndata: cut"
      assert.are.same({ "one", "two\nlines", "\n a" }, (parse_both(headers, text)))
    end)

    it(
      "has none for one without data, and ignores a mark in front",
      function()
        assert.are.same({ "1" }, (parse_both(headers, "\239\187\191data: 1\n\nevent: ping\n\ndata:\n\nretry: 5\n\n")))
      end
    )

    it("is refused when one is too long, over all its lines", function()
      assert.are.equal(StreamParser.TOO_LARGE, select(2, parse(headers, { ("data: 1\n"):rep(20) }, 30)))
      assert.is_nil(select(2, parse_both(headers, ("data: 1\n\n"):rep(20), 30)))
      assert.matches("UTF%-8", select(2, parse_both(headers, "data: \255\n\n")))
    end)
  end)

  describe("of pieces", function()
    local text = { ["content-type"] = "text/plain", ["ws-stream"] = "1" }
    local binary = { ["ws-stream"] = "1" }

    it("has a frame for each, with its line breaks", function()
      assert.are.same({ "a\n", "b" }, (parse(text, { "a\n", "b" })))
      assert.are.same({ "\255\n", "\195" }, (parse(binary, { "\255\n", "\195" })))
    end)

    it("cuts text only between characters", function()
      assert.are.same({ "a", "üb" }, (parse(text, { "a\195", "\188b" })))
      assert.are.same({ "😀", "x" }, (parse(text, { "\240\159", "\152", "\128", "x" })))
      assert.are.same({ "ü", "😀" }, (parse(text, { "ü\240\159\152", "\128" })))
    end)

    it("is refused when it is no UTF-8, or ends inside a character", function()
      local frames, err = parse(text, { "a\195" })
      assert.are.same({ "a" }, frames)
      assert.matches("inside a character", err)
      assert.matches("UTF%-8", select(2, parse(text, { "\195", "a" })))
    end)

    it("joins what comes in several reads, up to the bound", function()
      local parser = assert(StreamParser.of({ status = 200, headers = text }, 4))
      assert.are.same({}, parser:feed("ab", false))
      assert.are.same({ "abcd" }, parser:feed("cd", true))
      assert.are.same({}, parser:feed("abc", false))
      assert.are.equal(StreamParser.TOO_LARGE, select(2, parser:feed("de", false)))
    end)
  end)
end)
