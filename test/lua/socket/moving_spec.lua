local Moves = require "support.moves"
local Worker = require "support.worker"
local Moving = require "framegate.socket.moving"

describe("a socket that moves", function()
  local worker, connection

  before_each(function()
    worker = Moves.worker()
    connection = Worker.open_session(worker)
  end)

  after_each(function() Moves.finish(worker) end)

  it("sends no event meanwhile, and what came sends its events afterwards", function()
    Moving.begin(connection, false)
    connection:receive("a", true)
    connection:receive("b", true)
    assert.are.same({}, worker.dispatch.events)
    Moving.finish(connection)
    connection:advance()
    assert.are.equal(1, #worker.dispatch.events)
    assert.are.equal("a", worker.dispatch.events[1].body)
  end)

  it("closes when the move is over", function()
    Moving.begin(connection, false)
    connection:close(4000, "bye", "control")
    assert.are.equal("open", connection.phase)
    Moving.finish(connection)
    assert.are.equal("closing", connection.phase)
    assert.are.equal(4000, connection.closing.code)
  end)

  it("calls who waits once and in order, when it is not moving any more", function()
    local calls = {}
    Moving.begin(connection, false)
    for i = 1, 3 do
      Moving.wait(connection, function() calls[#calls + 1] = { i, connection.moving } end)
    end
    assert.are.same({}, calls)
    Moving.finish(connection)
    assert.are.same({ { 1 }, { 2 }, { 3 } }, calls)
    Moving.begin(connection, false)
    Moving.finish(connection)
    assert.are.equal(3, #calls)
  end)

  it("may begin to move again while those who waited are called", function()
    Moving.begin(connection, false)
    Moving.wait(connection, function() Moving.begin(connection, false) end)
    Moving.finish(connection)
    assert.is_table(connection.moving)
    Moving.finish(connection)
  end)

  it("notices once that its event was answered", function()
    local answered = 0
    connection:receive("a", true)
    Moving.begin(connection, false)
    connection.moving.on_answered = function() answered = answered + 1 end
    Moving.look(connection)
    assert.are.equal(0, answered)
    Worker.answer(worker.dispatch.events[1])
    assert.are.equal(1, answered)
    connection:advance()
    assert.are.equal(1, answered)
    Moving.finish(connection)
    Moving.look(connection)
  end)

  it("gathers what is pushed to it, on the side where it arrives", function()
    Moving.begin(connection, true)
    local message = { frame = "\129\1a", payload_bytes = 1 }
    assert.is_true(connection:offer(message))
    assert.are.same({ message }, connection.moving.buffer)
    assert.are.equal("", Worker.written(connection))
    Moving.finish(connection)
  end)
end)
