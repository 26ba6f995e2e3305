local Worker = require "support.worker"
local Client = require "support.client"
local Encoder = require "framegate.protocol.encoder"
local Loop = require "support.event_loop"
local Stub = require "support.ngx"
local Reader = require "framegate.socket.reader"
local Transport = require "framegate.socket.transport"

local TEXT, CLOSE, PING = 1, 8, 9

local waited -- seconds, until a read timed out

-- A raw socket that gives these chunks, times out for one that says so, and is closed at their end.
local function socket_of(chunks)
  return {
    settimeouts = function(self, _, _, read_ms) self.read_ms = read_ms end,
    receiveany = function(self)
      local chunk = table.remove(chunks, 1)
      if chunk == "timeout" then
        waited = self.read_ms / 1000
        Stub.now = Stub.now + waited
        return nil, "timeout"
      end
      return chunk, not chunk and "closed" or nil
    end,
  }
end

describe("the reader", function()
  local worker, connection, transport

  local function read(...)
    connection = Worker.open(worker, { rate = worker.rate })
    transport = Transport.new(connection, socket_of { ... })
    connection.outbox:set_transport(transport)
    Loop.spawn(function() Reader.run(transport) end)
    Loop.run(0)
  end

  before_each(function()
    worker = Worker.new()
    Loop.reset()
  end)

  it("makes messages of chunks, and events of messages", function()
    local bytes = Client.frame(TEXT, "one") .. Client.frame(TEXT, "two")
    read(bytes:sub(1, 5), bytes:sub(6))
    assert.are.equal("one", worker.dispatch.events[1].body)
    Worker.answer(worker.dispatch.events[1])
    assert.are.equal("two", worker.dispatch.events[2].body)
    assert.are.equal(2, connection.traffic.frames_in)
    assert.are.equal(6, connection.traffic.bytes_in)
  end)

  it("takes compressed messages where that was agreed, and counts both sizes", function()
    local Compression = require "framegate.push.compression"
    Compression.start()
    local mask = "\1\2\3\4"
    local head = Client.header { opcode = TEXT, length = 7, reserved = 0x40, mask = mask }
    local hello = head .. Client.masked("\242\72\205\201\201\7\0", mask)
    read(hello)
    assert.are.same({}, worker.dispatch.events)
    assert.are.equal(1002, connection.closing.code)
    connection = Worker.open(worker)
    transport = Transport.new(connection, socket_of { hello }):agree((Compression.negotiate "permessage-deflate"))
    connection.outbox:set_transport(transport)
    Loop.spawn(function() Reader.run(transport) end)
    Loop.run(0)
    assert.are.equal("Hello", worker.dispatch.events[1].body)
    assert.are.equal(5, connection.traffic.bytes_in)
    assert.are.equal(1, worker.counted["framegate_compressed_frames_total/in"])
    assert.are.equal(7, worker.counted["framegate_compression_bytes_total/in/compressed"])
    assert.are.equal(5, worker.counted["framegate_compression_bytes_total/in/plain"])
  end)

  it("answers pings, and the peer that is gone is lost", function()
    read(Client.frame(PING, "abc"))
    assert.are.equal(Encoder.pong "abc", Worker.written(connection))
    assert.is_true(transport.is_lost)
    assert.are.equal("closing", connection.phase)
  end)

  it("answers a close with the same code, and that is why the socket ends", function()
    read(Client.frame(CLOSE, "\3\232bye"))
    assert.are.equal(Encoder.close(1000), Worker.written(connection))
    assert.are.same({ code = 1000, reason = "bye", cause = "client" }, connection.closing)
    assert.are.equal("ended", transport.reading)
  end)

  it("answers an empty close with an empty one", function()
    read(Client.frame(CLOSE, ""))
    assert.are.equal(Encoder.close(), Worker.written(connection))
    assert.are.same({ code = 1005, reason = "", cause = "client" }, connection.closing)
  end)

  it("closes 2 s after the peer's close when an answer does not come", function()
    read(Client.frame(TEXT, "slow"), Client.frame(CLOSE, "\3\232"), "timeout")
    assert.are.equal(2, waited)
    assert.are.equal(Encoder.close(1000), Worker.written(connection))
  end)

  it("closes for what breaks the protocol, and for a message that is too large", function()
    read(Client.frame(TEXT, "\255"))
    assert.are.equal("protocol", connection.closing.cause)
    assert.are.equal(1007, connection.closing.code)
    read(Client.frame(TEXT, ("x"):rep(1001)))
    assert.are.equal("too_large", connection.closing.cause)
    assert.are.equal(1009, connection.closing.code)
    read(Client.frame(CLOSE, "x"))
    assert.are.same({ "protocol", 1002 }, { connection.closing.cause, connection.closing.code })
  end)

  it("closes a peer of which nothing came, as abnormal, with 1001 on the wire", function()
    read "timeout"
    assert.are.equal(60, waited)
    assert.are.same({ code = 1006, reason = "nothing came for 60 s", cause = "idle" }, connection.closing)
    assert.are.equal(Encoder.close(1001, "nothing came for 60 s"), Worker.written(connection))
  end)

  it("closes for a message that does not end in time", function()
    require("framegate.config").MESSAGE_TIMEOUT = 5
    read(Client.frame(TEXT, "half"):sub(1, 4), "timeout")
    assert.are.equal(5, waited)
    assert.are.same(
      { code = 1008, reason = "a message must end within 5 s", cause = "slow_message" },
      connection.closing
    )
  end)

  it("answers a message over the rate itself", function()
    worker.rate = 1
    read(Client.frame(TEXT, "one") .. Client.frame(TEXT, "two"))
    assert.are.equal(1, #worker.dispatch.events)
    assert.matches('"statusCode":429.*"retryAfter":1.000', Worker.written(connection))
    assert.are.equal(1, worker.counted.framegate_frames_rate_limited_total)
  end)

  describe("of a session", function()
    local PONG = 10
    local session

    local function read_session(is_current, ...)
      connection = Worker.open_session(worker)
      session = connection.session
      transport = Transport.new(connection, socket_of { ... })
      connection.outbox:set_transport(is_current and transport or Worker.transport())
      Loop.spawn(function() Reader.run(transport) end)
      Loop.run(0)
    end

    after_each(function()
      connection:finish()
      Loop.run(2)
    end)

    it("counts messages, and learns that the client has the token", function()
      read_session(true, Client.frame(TEXT, "one") .. Client.frame(PING, "") .. Client.frame(TEXT, "two"))
      assert.are.equal(2, session.received)
      assert.is_nil(session.former)
      assert.are.same({ "open", true }, { connection.phase, transport.is_lost })
    end)

    it("learns from a pong what the client has", function()
      read_session(true)
      connection:send("a", true)
      Worker.written(connection)
      session.ring:ping()
      transport.socket = socket_of { Client.frame(PONG, "1") }
      Reader.run(transport)
      assert.are.equal(1, session.ring.confirmed)
    end)

    it("believes nothing that comes over a transport which it has lost", function()
      read_session(false, Client.frame(TEXT, "one"))
      assert.are.equal(0, session.received)
      assert.is_truthy(session.former)
      assert.are.equal(0, #worker.dispatch.events)
    end)

    it("goes on when its transport dies, also in the middle of a message", function()
      read_session(true, Client.frame(TEXT, "one"):sub(1, 3), "timeout", "timeout")
      assert.are.equal("open", connection.phase)
    end)
  end)
end)
