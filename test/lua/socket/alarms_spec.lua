local Stub = require "support.ngx"
local Worker = require "support.worker"
local Loop = require "support.event_loop"
local Alarms = require "framegate.socket.alarms"
local Encoder = require "framegate.protocol.encoder"

local answer, written = Worker.answer, Worker.written

describe("the alarm of a socket", function()
  local worker, connection, events

  before_each(function()
    Loop.run(1e6) -- alarms of the spec before
    Loop.reset()
    worker = Worker.new()
    connection = Worker.open(worker)
    events = worker.dispatch.events
  end)

  local function kinds()
    local list = {}
    for i, event in ipairs(events) do
      list[i] = event.kind
    end
    return table.concat(list, " ")
  end

  local function send(alarm)
    connection:receive("x", true)
    answer(events[#events], { headers = { ["ws-alarm"] = tostring(alarm) } })
  end

  it("becomes a numbered event when its time has come, and not before", function()
    send(30)
    Loop.run(29.999)
    assert.are.equal("message", kinds())
    Loop.run(0.001)
    assert.are.equal("message alarm", kinds())
    assert.are.equal("id/1", events[2].id)
    assert.are.equal(1, events[2].number)
    Loop.run(100)
    assert.are.equal("message alarm", kinds())
  end)

  it("is replaced by a new one, earlier or later, and taken away by 0", function()
    send(30)
    send(5)
    Loop.run(5)
    assert.are.equal("message message alarm", kinds())
    answer(events[3])
    send(5)
    send(30)
    Loop.run(29)
    assert.are.equal(5, #events)
    Loop.run(1)
    assert.are.equal("alarm", events[6].kind)
    answer(events[6])
    send(5)
    send(0)
    Loop.run(100)
    assert.are.equal(8, #events)
  end)

  it("is one for each socket", function()
    local other = Worker.open(worker)
    Alarms.set(connection, 2)
    Alarms.set(other, 1)
    Loop.run(1)
    assert.are.equal(other, events[1].connection)
    Loop.run(1)
    assert.are.equal(connection, events[2].connection)
  end)

  it("waits for the event in flight and for the messages before it", function()
    send(1)
    connection:receive("one", true)
    connection:receive("two", true)
    Loop.run(1)
    connection:receive("three", true)
    for i = 2, 3 do
      answer(events[i])
    end
    assert.are.equal("message message message alarm", kinds())
    answer(events[4])
    assert.are.equal("three", events[5].body)
  end)

  for what, value in pairs { ["replaces"] = "9", ["takes away"] = "0" } do
    it("is no event when an answer " .. what .. " it while it waits", function()
      send(1)
      connection:receive("in flight", true)
      Loop.run(1)
      answer(events[2], { headers = { ["ws-alarm"] = value } })
      assert.are.equal("message message", kinds())
      Loop.run(9)
      assert.are.equal(value == "9" and 3 or 2, #events)
    end)
  end

  it("ends with the socket, also while it waits", function()
    send(1)
    connection:finish()
    answer(events[2])
    Loop.run(2)
    assert.are.equal("message close", kinds())
  end)

  it("that waits is no event of a socket that has ended", function()
    send(1)
    connection:receive("in flight", true)
    Loop.run(1)
    connection:finish()
    answer(events[2])
    assert.are.equal("message message close", kinds())
  end)

  it("is none of a socket that is closing, or was refused", function()
    send(1)
    connection:close(1000)
    Loop.run(2)
    assert.are.equal("message", kinds())
    local refused = Worker.open(worker)
    worker.registry:remove(refused)
    refused:receive("x", true)
    answer(events[2], { headers = { ["ws-alarm"] = "1" } })
    Loop.run(2)
    assert.are.equal("message message", kinds())
  end)

  it("rings again when no handler has answered its event", function()
    send(1)
    Loop.run(1)
    answer(events[2], { status = 503, failure = "unavailable", error = { status = 503, message = "none" } })
    Loop.run(4.9)
    assert.are.equal(2, #events)
    Loop.run(0.1)
    assert.are.equal("message alarm alarm", kinds())
    answer(events[3], { status = 502, failure = "malformed", error = { status = 502, message = "what?" } })
    Loop.run(100)
    assert.are.equal(3, #events)
    assert.are.equal("", written(connection))
  end)

  it("has an answer that is a frame, but not when it reports an error", function()
    Alarms.set(connection, 1)
    Loop.run(1)
    answer(events[1], { body = "late!", headers = { ["content-type"] = "text/plain", ["ws-alarm"] = "1" } })
    assert.are.equal(Encoder.frame("late!", true), written(connection))
    Loop.run(1)
    answer(
      events[2],
      { status = 500, body = "oops", headers = { ["content-type"] = "text/plain", ["ws-alarm"] = "1" } }
    )
    Loop.run(1)
    answer(events[3], { status = 500 })
    assert.are.equal("", written(connection))
    Alarms.set(connection, 1)
    Loop.run(1)
    answer(events[4], { status = 403, headers = { ["ws-close"] = "4401 sign%20in" } })
    assert.are.equal(4401, connection.closing.code)
  end)

  it("is one of many that are due together", function()
    for _ = 1, 1200 do
      Alarms.set(Worker.open(worker), 1)
    end
    Loop.run(0.999)
    assert.are.equal(0, #events)
    Loop.run(0.01)
    assert.are.equal(1200, #events)
    assert.is_true(Stub.now < 1002)
  end)
end)
