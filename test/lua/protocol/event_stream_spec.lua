require "support.ngx"
local EventStream = require "framegate.protocol.event_stream"

-- The events that a client reads, by the rules of the standard: lines, fields, and a space behind the colon that goes.
local function read(stream)
  local events, event = {}, {}
  for line in stream:gmatch("([^\n]*)\n") do
    local name, value = line:match("^([^:]*):? ?(.*)$")
    if line == "" then
      events[#events + 1] = next(event) and event or nil
      event = {}
    elseif name == "data" then
      event.data = event.data and event.data .. "\n" .. value or value
    elseif name ~= "" then
      event[name] = value
    end
  end
  return events
end

describe("an event", function()
  it("of a text has a line of data for each of its lines", function()
    assert.are.equal("data: one\n\n", EventStream.text "one")
    assert.are.equal("id: t.1\ndata: one\ndata: two\n\n", EventStream.text("one\ntwo", "t.1"))
  end)

  it("of a text arrives as it was, but for the kind of line ends", function()
    for _, text in ipairs { "", " ", "  two", ":", "data: x", "\n", "\n\n", "a\n", "\na", "\0\n\0", "id: 1\n\nevent: x" } do
      assert.are.same({ { data = text, id = "t.1" } }, read(EventStream.text(text, "t.1")))
    end
    assert.are.same({ { data = "a\nb\nc\n\nd" } }, read(EventStream.text "a\r\nb\rc\n\rd"))
  end)

  it("of a binary message is base64", function()
    local expected = { { event = "binary", data = "AP8KDQ==", id = "t.2" } }
    assert.are.same(expected, read(EventStream.binary("\0\255\n\r", "t.2")))
    assert.are.same({ { event = "binary", data = "" } }, read(EventStream.binary ""))
  end)

  it("of the end has code and reason; its id stops a client that need not come back", function()
    local ended = { { event = "close", data = '{"code":4001,"reason":"a \\"b\\"\\nc"}', id = "closed" } }
    assert.are.same(ended, read(EventStream.close(4001, 'a "b"\nc')))
    for code, id in pairs { [1000] = "closed", [1002] = "closed", [1008] = "closed", [1012] = false, [1001] = false } do
      assert.are.equal(id or nil, read(EventStream.close(code, ""))[1].id)
    end
  end)

  it("at the beginning names the time before a client comes back, and perhaps its id", function()
    assert.are.same({ { retry = "1000" } }, read(EventStream.beginning()))
    assert.are.same({ { retry = "1000", id = "t.0" } }, read(EventStream.beginning "t.0"))
  end)

  it("in place of a refusal that passes only names the time", function()
    local stream = EventStream.refusal(503, "the gateway is full", 5)
    assert.are.equal(": 503 the gateway is full\nretry: 5000\n\n", stream)
    assert.are.same({ { retry = "1000" } }, read(EventStream.refusal(503, "it moves", 0)))
  end)

  it("that only shows a sign of life is none", function() assert.are.same({}, read(EventStream.COMMENT)) end)

  it(
    "that reports the loss of a socket has data, or a client would not show it",
    function() assert.are.same({ { event = "reset", data = "" } }, read(EventStream.RESET)) end
  )
end)

describe("a chunk", function()
  it("has its length in front", function()
    assert.are.equal("3\r\nabc\r\n", EventStream.chunk "abc")
    assert.are.equal("10000\r\n" .. ("x"):rep(65536) .. "\r\n", EventStream.chunk(("x"):rep(65536)))
  end)
end)

describe("a client", function()
  it("accepts an event stream if it names the type", function()
    for _, accept in ipairs {
      "text/event-stream",
      "Text/Event-Stream;q=0.5",
      "text/html, text/event-stream",
      "text/html,text/event-stream ; q=1,*/*",
      { "text/html", "text/event-stream" },
    } do
      assert.is_true(EventStream.is_accepted(accept))
    end
    for _, accept in ipairs { false, "", "*/*", "text/*", "text/html", "text/event-streams", "x;a=text/event-stream" } do
      assert.is_false(EventStream.is_accepted(accept or nil))
    end
  end)
end)
