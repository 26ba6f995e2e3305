local Worker = require "support.worker"
local Attachment = require "framegate.socket.attachment"
local Keeper = require "framegate.socket.keeper"
local Loop = require "support.event_loop"
local Places = require "framegate.session.places"

describe("the care for a session", function()
  local worker, connection, transport

  before_each(function()
    Loop.run(1e6)
    Loop.reset()
    worker = Worker.new()
    connection, transport = Worker.open_session(worker)
    connection.session.ring:pong "0"
  end)

  after_each(function()
    if connection.phase ~= "ended" then
      connection:finish()
    end
    Loop.run(2)
  end)

  local written = Worker.written

  it("asks the client about a second after something was sent, once until it has answered", function()
    connection:send("a", true)
    assert.are.equal("\129\1a", written(connection))
    Loop.run(1)
    assert.are.equal("\137\0011", written(connection))
    connection:send("b", true)
    written(connection)
    Loop.run(3)
    assert.are.equal("", written(connection))
    connection.session.ring:pong "1"
    Keeper.note(connection)
    Loop.run(1)
    assert.are.equal("\137\0012", written(connection))
  end)

  it("asks about what waited in the outbox when that is sent", function()
    connection:send("a", true)
    Loop.run(5)
    assert.are.equal("\129\1a", written(connection))
    Loop.run(1)
    assert.are.equal("\137\0011", written(connection))
  end)

  it("keeps the keys known, also of a client that always sends something", function()
    for _ = 1, 300 do
      connection.session:count_received(1)
      Keeper.note(connection)
      Loop.run(15)
      written(connection)
    end
    assert.are.equal(connection.id, (Places.of_key(connection.session.token)))
  end)

  it("reports what has arrived, and gives a sign of life after 20 s", function()
    connection.session:count_received(1)
    Keeper.note(connection)
    Loop.run(1)
    assert.are.equal('\129\15\0{"received":1}', written(connection))
    Loop.run(19)
    assert.are.equal("", written(connection))
    Loop.run(1)
    assert.are.equal('\129\15\0{"received":1}', written(connection))
    assert.are.equal(0, connection.session.ring.top)
  end)

  it("reports immediately when much has arrived", function()
    connection.session:count_received(1)
    Keeper.report(connection)
    assert.are.equal('\129\15\0{"received":1}', written(connection))
  end)

  it("keeps the keys known", function()
    for _ = 1, 400 do
      Loop.run(20)
      written(connection)
    end
    assert.is_not_nil(Places.of_key(connection.session.token))
  end)

  it("ends with the transport, and costs nothing without one", function()
    Attachment.ended(connection, transport)
    Keeper.note(connection)
    Keeper.report(connection)
    Loop.run(50)
    assert.are.equal("", written(connection))
    connection:finish()
  end)
end)
