local Worker = require "support.worker"
local Encoder = require "framegate.protocol.encoder"
local Loop = require "support.event_loop"

describe("what a session sends", function()
  local worker, connection

  before_each(function()
    Loop.run(1e6)
    Loop.reset()
    worker = Worker.new()
    connection = Worker.open_session(worker)
  end)

  after_each(function() connection:finish() end)

  it("marks texts that look like its own, and only texts", function()
    connection:send("\0a", true)
    connection:send("\0a", false)
    connection:offer(Encoder.message("\0b", true))
    connection:offer(Encoder.message("\0b", false))
    connection:offer(Encoder.message("b", true))
    assert.are.equal("\129\3\0\0a\130\2\0a\129\3\0\0b\130\2\0b\129\1b", Worker.written(connection))
    assert.are.equal(5, connection.session.ring.top)
    assert.are.equal(9, connection.traffic.bytes_out)
  end)

  it("is not marked for a plain socket", function()
    local plain = Worker.open(worker)
    plain:send("\0a", true)
    plain:offer(Encoder.message("\0b", true))
    assert.are.equal("\129\2\0a\129\2\0b", Worker.written(plain))
    plain:finish()
  end)

  it("is counted without pings, pongs, and texts of the gateway", function()
    connection.outbox:push(Encoder.pong "x")
    connection.outbox:push(connection.session:report())
    connection.outbox:push(connection.session.ring:ping())
    connection:send("", true)
    Worker.written(connection)
    assert.are.equal(1, connection.session.ring.top)
  end)
end)
