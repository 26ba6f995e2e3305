local Worker = require "support.worker"
local Encoder = require "framegate.protocol.encoder"
local Loop = require "support.event_loop"
local RequestEnd = require "framegate.socket.request_end"
local ResumeEvent = require "framegate.socket.resume_event"

local answer, written = Worker.answer, Worker.written

describe("the resume event of a session whose handler is asked", function()
  local worker, connection, transport, events, asked

  before_each(function()
    Loop.reset()
    worker = Worker.new()
    connection, transport = Worker.open_session(worker, { keep = 600, mode = "check" })
    events, asked = worker.dispatch.events, nil
  end)

  after_each(function()
    worker.request.has_left = true
    Loop.run(1)
    RequestEnd.run()
    connection:finish()
  end)

  local LINES = "host: a\r\ncookie: new\r\nx-forwarded-for: 1.2.3.4\r\n"

  local function ask()
    Loop.spawn(function() asked = { ResumeEvent.ask(connection, { lines = LINES }) } end)
    Loop.run(0)
  end

  local function last() return events[#events] end

  it("has the lines of the new handshake, which the socket has from the answer on", function()
    ask()
    assert.are.equal("resume", last().kind)
    assert.are.equal(LINES, last().handshake)
    assert.are_not.equal(LINES, connection.handshake)
    connection:set_batch_prefix "old"
    answer(last(), { body = "hi", headers = { ["content-type"] = "text/plain", ["ws-state"] = "s" } })
    Loop.run(0)
    assert.are.equal(200, asked[1].status)
    assert.are.equal(LINES, connection.handshake)
    assert.is_nil(connection.batch_prefix)
    assert.are.equal("s", connection.state)
    assert.are.equal(Encoder.frame("hi", true), written(connection))
    assert.is_false(not not connection.is_in_flight)
    assert.is_nil(connection.session.returning)
  end)

  it("comes behind the event in flight, and before the messages that wait, also when the outbox is full", function()
    connection:receive("one", true)
    connection:receive("two", true)
    ask()
    assert.are.equal(1, #events)
    answer(events[1], { body = ("x"):rep(200), headers = { ["content-type"] = "text/plain" } })
    assert.is_true(connection.outbox:is_full())
    assert.are.equal("resume", last().kind)
    written(connection)
    answer(last())
    assert.are.equal("two", last().body)
  end)

  it("ends the session when the handler refuses", function()
    ask()
    answer(last(), { status = 401, headers = { ["ws-publish"] = "x" } })
    Loop.run(0)
    assert.are.equal(401, asked[1].status)
    assert.are.equal("closing", connection.phase)
    assert.are.equal(1008, connection.closing.code)
    assert.are.equal("handler", connection.closing.cause)
    assert.matches("401", connection.closing.reason)
    assert.are_not.equal(LINES, connection.handshake)
  end)

  it("changes nothing when no handler answers", function()
    ask()
    answer(last(), { status = 503, failure = "unavailable", error = { status = 503, message = "none" } })
    Loop.run(0)
    assert.are.equal("unavailable", asked[1].failure)
    assert.are.equal("open", connection.phase)
    assert.are_not.equal(LINES, connection.handshake)
    assert.are.equal("", written(connection))
  end)

  it("is one at a time", function()
    ask()
    assert.are.same({ nil, true }, { ResumeEvent.ask(connection, { lines = LINES }) })
    assert.are.equal(1, #events)
  end)

  it("is not sent for a client that has left before its turn", function()
    connection:receive("one", true)
    ask()
    worker.request.has_left = true
    Loop.run(1)
    assert.are.same({}, asked)
    assert.is_nil(connection.session.returning)
    answer(events[1])
    assert.are.equal(1, #events)
  end)

  it("is not sent either when nginx has ended the request", function()
    connection:receive("one", true)
    ask()
    RequestEnd.run()
    answer(events[1])
    assert.are.equal(1, #events)
  end)

  it("is answered to the session alone when its client has left meanwhile", function()
    ask()
    worker.request.has_left = true
    Loop.run(1)
    assert.are.same({}, asked)
    assert.are.same({ nil, true }, { ResumeEvent.ask(connection, { lines = "other" }) })
    answer(last())
    assert.are.equal(LINES, connection.handshake)
    assert.is_nil(connection.session.returning)
  end)

  it("is waited for no longer than for two answers, and not beyond the end of the session", function()
    connection:receive("one", true)
    ask()
    Loop.run(81)
    assert.are.equal("timeout", asked[1].failure)
    ask()
    connection:finish()
    Loop.run(1)
    assert.are.same({}, asked)
    answer(events[1])
    assert.are.equal("close", last().kind)
    assert.is_not_nil(transport)
  end)
end)
