local WebSocketEvents = require "framegate.protocol.websocket_events"

describe("the body of WebSocket-over-HTTP", function()
  local function decode(body) return WebSocketEvents.decode(body) end

  it("has events with content and without", function()
    local events = {
      { type = "OPEN" },
      { type = "TEXT", content = "Hello" },
      { type = "TEXT", content = "" },
      { type = "BINARY", content = "\r\n\0TEXT 1\r\n" },
      { type = "TEXT", content = ("x"):rep(300) },
    }
    local body = WebSocketEvents.encode(events)
    assert.are.equal(
      "OPEN\r\nTEXT 5\r\nHello\r\nTEXT 0\r\n\r\nBINARY b\r\n\r\n\0TEXT 1\r\n\r\nTEXT 12c\r\n",
      body:sub(1, 64)
    )
    assert.are.same(events, decode(body))
    assert.are.same({}, decode "")
    assert.are.same({ { type = "TEXT", content = "0123456789" } }, decode "TEXT A\r\n0123456789\r\n")
  end)

  it("is refused whole if something in it is wrong", function()
    for _, body in ipairs {
      "OPEN",
      "OPEN\n",
      "OPEN\r\nTEXT 5\r\nHello",
      "TEXT 5\r\nHell\r\n",
      "TEXT 5\r\nHello!\r\n",
      "TEXT x\r\nHello\r\n",
      "TEXT 0x5\r\nHello\r\n",
      "TEXT -1\r\n\r\n",
      "TEXT \r\n\r\n",
      "TEXT 5 5\r\nHello\r\n",
      "TEXT fffffffff\r\nHello\r\n",
      "TEXT ffffffff\r\nHello\r\n",
    } do
      local events, err = decode(body)
      assert.are.same({ nil, "string" }, { events, type(err) }, body)
    end
  end)

  it("is counted in bytes of content, and loses them from its beginning", function()
    local events = decode "PING\r\nTEXT 3\r\nabc\r\nBINARY 3\r\ndef\r\nTEXT 0\r\n\r\n"
    assert.are.equal(6, WebSocketEvents.bytes(events))
    local function rest(bytes) return WebSocketEvents.encode(WebSocketEvents.without(events, bytes)) end
    assert.are.equal("TEXT 3\r\nabc\r\nBINARY 3\r\ndef\r\nTEXT 0\r\n\r\n", rest(0))
    assert.are.equal("TEXT 2\r\nbc\r\nBINARY 3\r\ndef\r\nTEXT 0\r\n\r\n", rest(1))
    assert.are.equal("BINARY 3\r\ndef\r\nTEXT 0\r\n\r\n", rest(3))
    assert.are.equal("BINARY 1\r\nf\r\nTEXT 0\r\n\r\n", rest(5))
    assert.are.equal("", rest(6))
  end)
end)
