local Worker = require "support.worker"
local Attachment = require "framegate.socket.attachment"
local Config = require "framegate.config"
local Detached = require "framegate.socket.detached"
local Loop = require "support.event_loop"
local Moving = require "framegate.socket.moving"
local Places = require "framegate.session.places"

describe("a session whose client is away", function()
  local worker, opened

  before_each(function()
    Loop.run(1e6) -- deadlines of the spec before
    Loop.reset()
    worker, opened = Worker.new(), {}
  end)

  after_each(function()
    for _, connection in ipairs(opened) do
      if connection.phase ~= "ended" then
        connection:finish()
      end
    end
    assert.are.same({ count = 0, bytes = 0 }, Detached.state())
  end)

  local function away(keep)
    local connection, transport = Worker.open_session(worker, { keep = keep or 60 })
    opened[#opened + 1] = connection
    Attachment.ended(connection, transport)
    return connection
  end

  it("is kept for its time, and ends to the second with one close event", function()
    local connection = away(60)
    assert.are.equal("open", connection.phase)
    assert.are.equal(60, Detached.left(connection))
    Loop.run(59.9)
    assert.are.equal("open", connection.phase)
    Loop.run(0.1)
    assert.are.equal("ended", connection.phase)
    assert.are.same({ 1006, "its client was away for 60 s", "lost" }, {
      connection.closing.code,
      connection.closing.reason,
      connection.closing.cause,
    })
    assert.are.equal(1, #worker.dispatch.events)
    assert.are.equal("close", worker.dispatch.events[1].kind)
    assert.is_nil(Places.of_key(connection.session.token))
    Loop.run(1000)
    assert.are.equal(1, #worker.dispatch.events)
  end)

  it("is kept no longer when its client is back", function()
    local connection = away(60)
    Loop.run(59)
    local client = { key = connection.session.token, received = 0 }
    assert.is_true(Attachment.resume(connection, Worker.transport(), client))
    assert.is_nil(Detached.left(connection))
    Loop.run(1000)
    assert.are.equal("open", connection.phase)
  end)

  it("ends when more waits for it than may, but not while a message is delivered", function()
    local connection = away()
    connection:send(("x"):rep(90), true)
    assert.are.equal("open", connection.phase)
    assert.is_false(connection:offer { frame = ("x"):rep(20), payload_bytes = 18 })
    assert.are.equal("open", connection.phase)
    Loop.run(0)
    assert.are.same({ "ended", 1013 }, { connection.phase, connection.closing.code })
    assert.matches("OUTBOX_BYTES", connection.closing.reason)
    local other = away()
    other:send(("x"):rep(200), true)
    Loop.run(0)
    assert.are.equal("ended", other.phase)
  end)

  it("ends when it is closed: nobody sends the close frame", function()
    local connection = away()
    connection:close(4000, "over", "handler")
    assert.are.same({ "ended", 4000, "handler" }, {
      connection.phase,
      connection.closing.code,
      connection.closing.cause,
    })
    assert.are.equal(1, #worker.dispatch.events)
  end)

  it("goes on with its events; messages and answers wait for its client", function()
    local connection, transport = Worker.open_session(worker)
    opened[1] = connection
    connection:receive("one", true)
    connection:receive("two", true)
    Attachment.ended(connection, transport)
    Worker.answer(worker.dispatch.events[1], { body = "re", headers = { ["content-type"] = "text/plain" } })
    assert.are.equal("two", worker.dispatch.events[2].body)
    assert.are.same({ "\129\2re" }, { connection.outbox.waiting })
  end)

  it("is one of so many: the oldest goes", function()
    local first, second, third = away(), away(), away()
    assert.are.same({ "ended", "open", "open" }, { first.phase, second.phase, third.phase })
    assert.matches("MAX_DETACHED", first.closing.reason)
    Moving.begin(second, false)
    local fourth = away()
    assert.are.same({ "open", "ended", "open" }, { second.phase, third.phase, fourth.phase })
    Moving.finish(second)
  end)

  it("is counted with those of other workers that live", function()
    worker.members.others = function() return { { name = "other" } } end
    ngx.shared.sessions:set("away:other", 1)
    local first, second = away(), away()
    assert.are.same({ "ended", "open" }, { first.phase, second.phase })
    ngx.shared.sessions:set("away:gone", 100)
    ngx.shared.sessions:set("away:other", 50)
    second:send("x", true)
    Loop.run(0)
    assert.are.equal("ended", second.phase)
  end)

  it("goes when too much waits for all of them, the oldest first", function()
    Config.DETACHED_BYTES = 100
    local first, second = away(), away()
    first:send(("x"):rep(48), true)
    second:send(("x"):rep(48), true)
    assert.are.same({ count = 2, bytes = 100 }, Detached.state())
    second:send("x", true)
    Loop.run(0)
    assert.are.same({ "ended", "open" }, { first.phase, second.phase })
    assert.are.same({ count = 1, bytes = 53 }, Detached.state())
  end)

  it(
    "is not counted by these bounds for a minute, if the gateway has sent its client away or it came from elsewhere",
    function()
      Config.DETACHED_BYTES = 100
      local function spared(come)
        local connection, transport = Worker.open_session(worker)
        opened[#opened + 1] = connection
        come(connection, transport)
        return connection
      end
      local sent = spared(function(connection, transport)
        Attachment.send_away(connection, "the gateway was reloaded")
        Attachment.ended(connection, transport)
      end)
      local come = spared(function(connection)
        connection.outbox:detach()
        Attachment.arrive(connection, 1)
      end)
      local back = spared(function(connection, transport)
        transport.is_sent_away = true
        Attachment.release(connection)
      end)
      sent:send(("x"):rep(90), true)
      come:send(("x"):rep(90), true)
      local first, second = away(120), away(120)
      Loop.run(30)
      Attachment.resume(back, Worker.transport(), { key = back.session.token, received = 0 })
      assert.are.equal(4, Detached.state().count)
      for _, connection in ipairs { sent, come, back, first, second } do
        assert.are.equal("open", connection.phase)
      end
      Attachment.ended(back, back.outbox.transport)
      assert.are.same({ "ended", "open", "open" }, { first.phase, second.phase, back.phase })
    end
  )

  it("is counted when its client has not come back within a minute", function()
    local connections = {}
    for i = 1, 3 do
      local connection = Worker.open_session(worker, { keep = 120 })
      connection.outbox:detach()
      opened[i], connections[i] = connection, connection
      Attachment.arrive(connection, 0)
    end
    Loop.run(59.9)
    assert.are.equal("open", connections[1].phase)
    Loop.run(0.2)
    local phases = { connections[1].phase, connections[2].phase, connections[3].phase }
    table.sort(phases)
    assert.are.same({ "ended", "open", "open" }, phases)
  end)

  it("is bounded by its own time only while the gateway stops", function()
    Config.DETACHED_BYTES = 1
    Detached.stop()
    local first = away(60)
    for _ = 1, 5 do
      away(60)
    end
    first:send("x", true)
    Loop.run(59)
    assert.are.equal("open", first.phase)
    Loop.run(1.1)
    assert.are.equal("ended", first.phase)
  end)

  it("has the bytes of its ring counted, too", function()
    local connection, transport = Worker.open_session(worker)
    opened[1] = connection
    connection:send("four", true)
    Worker.written(connection)
    Attachment.ended(connection, transport)
    assert.are.same({ count = 1, bytes = 6 }, Detached.state())
  end)
end)
