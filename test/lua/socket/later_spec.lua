local Worker = require "support.worker"
local Loop = require "support.event_loop"
local Attachment = require "framegate.socket.attachment"
local Connection = require "framegate.socket.connection"
local Encoder = require "framegate.protocol.encoder"
local Later = require "framegate.socket.later"

local written = Worker.written

describe("messages that the gateway sends later", function()
  local connection

  before_each(function()
    Loop.run(1e6) -- those of the spec before
    Loop.reset()
    connection = Worker.open(Worker.new())
  end)

  after_each(function() Later.clear(connection) end)

  local function text(payload) return { kind = "text", payload = payload } end

  local function frames(...)
    local list = {}
    for i, payload in ipairs { ... } do
      list[i] = Encoder.frame(payload, true)
    end
    return table.concat(list)
  end

  it("are a keep-alive, whenever nothing was sent for its time", function()
    Later.keep_alive(connection, { message = text "still here", seconds = 10 })
    Loop.run(9.9)
    assert.are.equal("", written(connection))
    Loop.run(0.1)
    assert.are.equal(frames "still here", written(connection))
    Loop.run(5)
    connection:send("an answer", true)
    written(connection)
    Loop.run(9.9)
    assert.are.equal("", written(connection))
    Loop.run(0.1)
    assert.are.equal(frames "still here", written(connection))
    Loop.run(20)
    assert.are.equal(frames("still here", "still here"), written(connection))
  end)

  it("are sent at intervals, whatever else is sent", function()
    Later.keep_alive(connection, { message = text "tick", seconds = 10, is_interval = true })
    Loop.run(5)
    connection:send("an answer", true)
    Loop.run(5)
    assert.are.equal(frames("an answer", "tick"), written(connection))
  end)

  it("end when they are taken away, and with the socket", function()
    Later.keep_alive(connection, { message = text "tick", seconds = 10 })
    Later.keep_alive(connection, { message = text "tock", seconds = 20 })
    Loop.run(20)
    assert.are.equal(frames "tock", written(connection))
    Later.keep_alive(connection, { seconds = 20 })
    Loop.run(100)
    assert.are.equal("", written(connection))
    Later.keep_alive(connection, { message = text "tick", seconds = 10 })
    Later.delay(connection, { message = text "late", seconds = 10 })
    connection:finish()
    Loop.run(100)
    assert.is_nil(Later.pack(connection))
  end)

  it("are none for a socket that is not registered", function()
    local refused = Connection.new { id = "refused", path = "/", lines = "" }
    Later.keep_alive(refused, { message = text "tick", seconds = 10 })
    Later.delay(refused, { message = text "late", seconds = 10 })
    assert.is_nil(Later.pack(refused))
    assert.is_nil(refused.grip)
    Loop.run(20)
    assert.are.equal("", written(refused))
  end)

  it("are forgotten when the socket closes", function()
    Later.keep_alive(connection, { message = text "tick", seconds = 10, is_interval = true })
    connection:close(4000, "bye", "handler")
    Later.delay(connection, { message = text "late", seconds = 10 })
    Loop.run(10)
    assert.is_nil(Later.pack(connection))
    assert.is_nil(connection.grip.is_kept_alive)
  end)

  it("are no keep-alives while the client is away, or does not read", function()
    local worker = Worker.new()
    local session, transport = Worker.open_session(worker)
    Later.keep_alive(session, { message = text "tick", seconds = 10, is_interval = true })
    session:send(("x"):rep(200), true)
    Loop.run(15)
    assert.are.equal(frames(("x"):rep(200)), written(session))
    Attachment.ended(session, transport)
    assert.is_true(session:is_detached())
    Loop.run(10)
    assert.are.equal("", written(session))
    assert.are.equal(10, Later.pack(session).keep_alive.seconds)
    session:finish()
  end)

  it("are one delayed message: another one sends it, and so does a flush", function()
    Later.delay(connection, { message = text "one", seconds = 10 })
    Later.delay(connection, { message = text "two", seconds = 10 })
    assert.are.equal(frames "one", written(connection))
    Loop.run(10)
    assert.are.equal(frames "two", written(connection))
    Later.delay(connection, { message = text "three", seconds = 10 })
    Later.flush(connection)
    Later.flush(connection)
    Loop.run(100)
    assert.are.equal(frames "three", written(connection))
  end)

  it("are pings and binary messages, too", function()
    Later.delay(connection, { message = { kind = "ping", payload = "hi" }, seconds = 1 })
    Later.delay(connection, { message = { kind = "binary", payload = "\255" }, seconds = 1 })
    Later.flush(connection)
    assert.are.equal(Encoder.ping "hi" .. Encoder.frame("\255", false), written(connection))
  end)

  it("go along to another worker", function()
    Later.keep_alive(connection, { message = { kind = "binary", payload = "\255" }, seconds = 10, is_interval = true })
    Later.delay(connection, { message = text "late", seconds = 60 })
    Loop.run(4)
    local packed = Later.pack(connection)
    Later.clear(connection)
    assert.are.same({ kind = "text", payload = "bGF0ZQ==", seconds = 56 }, packed.delayed)
    local other = Worker.open(Worker.new())
    Later.unpack(other, packed)
    Loop.run(10)
    assert.are.equal(Encoder.frame("\255", false), written(other))
    Loop.run(46)
    assert.matches("late", written(other), 1, true)
    Later.clear(other)
  end)
end)
