require "support.worker"
local Encoder = require "framegate.protocol.encoder"
local EventStream = require "framegate.socket.event_stream"
local Ring = require "framegate.session.ring"
local Session = require "framegate.session.session"
local Texts = require "framegate.session.texts"
local Worker = require "support.worker"

describe("an event stream", function()
  local connection, stream, sent, limit

  before_each(function()
    Worker.new()
    require("framegate.config").SESSION_BYTES = 100000
    require("framegate.runtime.client").limit_unacknowledged = function(seconds) limit = seconds end
    connection, sent = { phase = "open" }, {}
    stream = EventStream.new(connection, {
      send = function(_, data)
        sent[#sent + 1] = data
        return not connection.is_broken
      end,
      settimeouts = function() end,
    })
  end)

  local function begin_session()
    connection.session =
      setmetatable({ token = "t", ring = Ring.new(), received = 0, reported = 0, unreported = 0 }, Session)
  end

  -- The body of the response so far, out of its chunks.
  local function body()
    local text, all, is_over = "", table.concat(sent), false
    while all ~= "" do
      local length, from = all:match("^(%x+)\r\n()")
      length = tonumber(length, 16)
      assert.are.equal("\r\n", all:sub(from + length, from + length + 1))
      text, all = text .. all:sub(from, from + length - 1), all:sub(from + length + 2)
      is_over = length == 0
      assert.is_true(not is_over or all == "")
    end
    sent = {}
    return text, is_over
  end

  it("turns the frames of a write into events, in one chunk", function()
    local frames = Encoder.frame("a\nb", true) .. Encoder.PING .. Encoder.pong "x" .. Encoder.frame("\0", false)
    assert.is_true(stream:write(frames .. Encoder.frame(("y"):rep(300), true) .. Encoder.frame("\0z", true)))
    local expected = "data: a\ndata: b\n\n:\n\nevent: binary\ndata: AA==\n\ndata: "
    assert.are.equal(expected .. ("y"):rep(300) .. "\n\ndata: \0z\n\n", (body()))
    assert.is_true(stream:write(Encoder.frame(("z"):rep(70000), true)))
    assert.are.equal("data: " .. ("z"):rep(70000) .. "\n\n", (body()))
  end)

  it("never writes an empty chunk, which would be the last", function()
    assert.is_true(stream:write(Encoder.pong "x"))
    assert.are.equal("", table.concat(sent))
  end)

  it("ends behind a close frame, whatever comes after it", function()
    stream:write(Encoder.frame("a", true) .. Encoder.close(4001, "out") .. Encoder.frame("b", true))
    local text, is_over = body()
    assert.are.equal('data: a\n\nid: closed\nevent: close\ndata: {"code":4001,"reason":"out"}\n\n', text)
    assert.is_true(is_over)
  end)

  it("reports when a write fails", function()
    connection.is_broken = true
    assert.is_false(stream:write(Encoder.frame("a", true)))
  end)

  describe("of a session", function()
    before_each(begin_session)

    it("numbers messages, and nothing else", function()
      stream:write(
        Encoder.frame("a", true)
          .. Encoder.ping "1"
          .. Encoder.frame(Texts.received(3), true)
          .. Encoder.frame(Texts.escape "\0b", true)
          .. Encoder.frame("c", false)
      )
      local expected = "id: t.1\ndata: a\n\n:\n\n:\n\nid: t.2\ndata: \0b\n\nid: t.3\nevent: binary\ndata: Yw==\n\n"
      assert.are.equal(expected, (body()))
      connection.session.token = "u"
      stream:write(Encoder.frame("d", true))
      assert.are.equal("id: u.4\ndata: d\n\n", (body()))
    end)

    it("begins with an id, and with what its client lacks when it comes back", function()
      stream:begin(connection.session, { key = "k", received = 0, is_new = true }, false)
      assert.are.equal("retry: 1000\nid: t.0\n\n", (body()))
      assert.are.equal(60, limit)
      for _, text in ipairs { "a", "b", "c" } do
        connection.session.ring:add(Encoder.frame(text, true))
      end
      stream:begin(connection.session, { key = "t", received = 1 }, true)
      assert.are.equal("retry: 1000\nid: t.1\n\nid: t.2\ndata: b\n\nid: t.3\ndata: c\n\n", (body()))
      assert.are.equal(1, connection.session.ring.base)
    end)

    it("reports a socket that is gone", function()
      stream:begin(connection.session, { key = "t", received = 7 }, false)
      assert.are.equal("retry: 1000\nid: t.0\n\nevent: reset\ndata:\n\n", (body()))
    end)

    it("that is sent away just ends", function()
      stream:send_away()
      stream:write(Encoder.frame("a", true) .. Encoder.close(1012, "reloaded"))
      local text, is_over = body()
      assert.are.equal("id: t.1\ndata: a\n\n", text)
      assert.is_true(is_over)
      stream:write(Encoder.frame("b", true))
      assert.are.equal("0\r\n\r\n", table.concat(sent))
    end)
  end)

  describe("whose handler allows no session", function()
    it("begins without an id, and with a report if the client had one", function()
      stream:begin(nil, { key = "k", received = 0, is_new = true }, false)
      assert.are.equal("retry: 1000\n\n", (body()))
      stream:begin(nil, { key = "t", received = 3 }, false)
      assert.are.equal("retry: 1000\n\nevent: reset\ndata:\n\n", (body()))
    end)
  end)
end)
