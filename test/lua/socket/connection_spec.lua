local Stub = require "support.ngx"
local Worker = require "support.worker"
local Connection = require "framegate.socket.connection"
local Encoder = require "framegate.protocol.encoder"
local Loop = require "support.event_loop"
local OpenEvent = require "framegate.socket.open_event"

local answer, written = Worker.answer, Worker.written
local function text(payload) return Encoder.frame(payload, true) end

describe("a connection", function()
  local worker, connection, transport, events

  before_each(function()
    worker = Worker.new()
    connection, transport = Worker.open(worker)
    events = worker.dispatch.events
  end)

  describe("sends messages as events", function()
    it("one at a time, in their order, each after the answer to the one before", function()
      for _, payload in ipairs { "one", "two", "three" } do
        connection:receive(payload, payload ~= "two")
      end
      for number, payload in ipairs { "one", "two", "three" } do
        assert.are.equal(number, #events)
        assert.are.equal(payload, events[number].body)
        assert.are.equal(payload ~= "two", events[number].is_text)
        assert.are.equal("id/" .. number - 1, events[number].id)
        answer(events[number])
      end
      assert.are.equal(3, #events)
    end)

    it("and the answers as frames", function()
      connection:receive("hello", true)
      answer(events[1], { body = "hi", headers = { ["content-type"] = "text/plain" } })
      connection:receive("\1", false)
      answer(events[2], { body = "\2", headers = { ["content-type"] = "application/octet-stream" } })
      assert.are.equal(text "hi" .. Encoder.frame("\2", false), written(connection))
      assert.are.equal(2, connection.traffic.frames_out)
      assert.are.equal(3, connection.traffic.bytes_out)
    end)

    it("also those that have their answer before they are sent, and the close event once", function()
      for _, payload in ipairs { "one", "two", "three" } do
        connection:receive(payload, true)
      end
      worker.dispatch.submit = function(_, event)
        events[#events + 1] = event
        answer(event)
      end
      answer(events[1])
      assert.are.same({ "one", "two", "three" }, { events[1].body, events[2].body, events[3].body })
      connection:receive("four", true)
      connection:finish()
      assert.are.same({ "message", "close", nil }, { events[4].kind, events[5].kind, events[6] })
    end)

    it("not before the outbox has room for the answer", function()
      connection:receive("one", true)
      connection:receive("two", true)
      connection:send(("x"):rep(200), true)
      answer(events[1])
      assert.are.equal(1, #events)
      written(connection)
      connection:advance()
      assert.are.equal("two", events[2].body)
    end)

    it("and goes on after an answer that cannot be applied", function()
      connection:receive("one", true)
      connection:receive("two", true)
      worker.registry.subscribe = function() error "a defect" end
      local ok = pcall(answer, events[1], { headers = { ["ws-subscribe"] = "news" } })
      assert.is_false(ok)
      assert.are.equal("two", events[2].body)
    end)
  end)

  describe("is full", function()
    it("with many messages or many bytes in the inbox, and wakes the reader when there is room", function()
      connection:receive("in flight", true)
      for _ = 1, 64 do
        assert.is_false(connection:is_full())
        connection:receive("waits", true)
      end
      assert.is_true(connection:is_full())
      answer(events[1])
      assert.is_false(connection:is_full())
      assert.are.equal(1, transport.readers_woken)
    end)

    it("with an outbox over its bound", function()
      connection:send(("x"):rep(98), true)
      assert.is_false(connection:is_full())
      connection:send("", true)
      assert.is_true(connection:is_full())
    end)
  end)

  describe("takes a push", function()
    it("of any size while nothing waits, and of what fits while something does", function()
      assert.is_true(connection:offer(Encoder.message(("x"):rep(500), true)))
      assert.is_false(connection:offer(Encoder.message("", true)))
      written(connection)
      assert.is_true(connection:offer(Encoder.message(("x"):rep(48), true)))
      assert.is_true(connection:offer(Encoder.message(("x"):rep(48), true)))
      assert.is_false(connection:offer(Encoder.message("", true)))
      assert.are.equal("open", connection.phase)
      assert.are.equal(596, connection.traffic.bytes_out)
    end)

    it("or closes for one that does not fit, where its location says so", function()
      connection, transport = Worker.open(worker, { closes_on_overflow = true })
      connection:offer(Encoder.message(("x"):rep(98), true))
      assert.is_false(connection:offer(Encoder.message("more", true)))
      assert.are.equal("closing", connection.phase)
      assert.are.same({ code = 1013, reason = "too slow to read what is sent", cause = "overflow" }, connection.closing)
      connection:finish()
      assert.are.equal("overflow 1013", worker.counted.closed)
    end)

    it("while it opens, and none once it closes", function()
      connection = Connection.new { id = "new", path = "/", lines = "" }
      assert.is_true(connection:offer(Encoder.message("early", true)))
      connection:open(transport)
      assert.are.equal(text "early", written(connection))
      connection:close(1000, "", "control")
      written(connection)
      assert.is_false(connection:offer(Encoder.message("late", true)))
    end)
  end)

  describe("closes", function()
    it("after what waits to be sent, and sends nothing after it", function()
      connection:send("last", true)
      connection:close(4000, "bye", "handler")
      connection:send("too late", true)
      connection:close(4001, "again", "control")
      assert.are.equal("closing", connection.phase)
      assert.are.same({ code = 4000, reason = "bye", cause = "handler" }, connection.closing)
      assert.are.equal(text "last" .. Encoder.close(4000, "bye"), written(connection))
    end)

    it("after the answers to what came before, when the peer asks for it", function()
      connection:receive("one", true)
      connection:receive("two", true)
      connection:close_after_replies(1000, nil, "client")
      answer(events[1], { body = "1", headers = { ["content-type"] = "text/plain" } })
      assert.are.equal("open", connection.phase)
      answer(events[2], { body = "2", headers = { ["content-type"] = "text/plain" } })
      assert.are.equal("closing", connection.phase)
      assert.are.equal(text "1" .. text "2" .. Encoder.close(1000), written(connection))
    end)

    it("after the answer to the event in flight alone, when the gateway leaves", function()
      connection:receive("one", true)
      connection:receive("two", true)
      connection:drop_inbox()
      connection:close_after_replies(1001, "the gateway stops", "stop")
      connection:receive("three", true)
      answer(events[1], { body = "1", headers = { ["content-type"] = "text/plain" } })
      assert.are.equal(1, #events)
      assert.are.equal(text "1" .. Encoder.close(1001, "the gateway stops"), written(connection))
    end)

    it("without a close frame and without the messages that wait, when it is dropped", function()
      connection:receive("one", true)
      connection:receive("two", true)
      connection:drop()
      answer(events[1])
      connection:finish()
      assert.are.same({ 2, "close" }, { #events, events[2].kind })
      assert.are.equal(1006, events[2].ended.code)
    end)

    it("for the reason that was set before, whatever frame it sends", function()
      connection:end_with(1005, nil, "client")
      connection:close(nil, nil, "other")
      assert.are.same({ code = 1005, reason = "", cause = "client" }, connection.closing)
      assert.are.equal(Encoder.close(), written(connection))
    end)

    it("while it opens: the frames wait for the 101", function()
      connection = Connection.new { id = "new", path = "/", lines = "" }
      connection:register()
      connection:close(4000, "no", "handler")
      assert.are.equal("opening", connection.phase)
      connection:open(transport)
      assert.are.equal("closing", connection.phase)
      assert.are.equal(Encoder.close(4000, "no"), written(connection))
    end)
  end)

  describe("ends", function()
    it("with a close event, after the answer to its last message", function()
      connection:receive("one", true)
      connection:receive("two", true)
      Stub.now = 1002.5
      connection:close(4000, "bye", "handler")
      connection:finish()
      assert.are.equal("ended", connection.phase)
      assert.is_nil(worker.registry:get "id")
      Stub.now = 1010
      answer(events[1])
      assert.are.equal("two", events[2].body)
      answer(events[2])
      assert.are.equal("close", events[3].kind)
      assert.are.same({ code = 4000, reason = "bye", duration = 2500 }, events[3].ended)
      connection:advance()
      answer(events[3])
      connection:advance()
      assert.are.equal(3, #events)
      assert.are.equal("handler 4000", worker.counted.closed)
      assert.are.equal(1, worker.counted.opened)
    end)

    it("with 1006 when its transport is lost", function()
      connection:begin_closing()
      connection:finish()
      assert.are.same({ code = 1006, reason = "", duration = 0 }, events[1].ended)
      assert.are.equal("lost 1006", worker.counted.closed)
    end)

    it("without its outbox or transport, and asks whether the worker is idle", function()
      connection:send("never read", true)
      connection:finish()
      assert.are.equal(0, connection.outbox.bytes)
      assert.is_nil(connection.outbox.transport)
      assert.are.equal(1, worker.dispatch.idle_checks)
    end)

    it("keeps its record until the close event is answered, which may publish", function()
      ngx.shared.sockets:set("id", "record")
      connection:finish()
      assert.is_truthy(ngx.shared.sockets:get "id")
      answer(events[1], {
        body = '{"effects":[{"publish":{"topic":"news","text":"left"}},{"send":{"text":"nobody"}}]}',
        headers = { ["content-type"] = "application/vnd.framegate.effects+json" },
      })
      assert.is_nil(ngx.shared.sockets:get "id")
      assert.are.same({ { "news", "left", "id" } }, worker.push.published)
    end)

    it("uncounted and with a close event when it never opened", function()
      connection = Connection.new { id = "new", path = "/", lines = "" }
      connection:register()
      connection:finish()
      assert.are.equal("close", events[1].kind)
      assert.is_nil(worker.counted.closed)
    end)

    it("without a close event when the handler refused it", function()
      connection = Connection.new { id = "new", path = "/", lines = "" }
      connection:refuse()
      connection:close(4001, "no", "handler")
      connection:open(transport)
      connection:finish()
      assert.are.same({}, events)
      assert.is_nil(worker.counted.closed)
      assert.are.equal(1, worker.counted.opened) -- of the one that the spec opened first
    end)
  end)

  it("gives its handshake the answer to its open event, and keeps a record meanwhile", function()
    connection = Connection.new { id = "new", path = "/", lines = "host: a\r\nx-forwarded-for: 1.2.3.4\r\n" }
    local result
    Loop.spawn(function() result = OpenEvent.send(connection) end)
    Loop.run(1)
    assert.are.equal("open", events[1].kind)
    assert.is_truthy(ngx.shared.sockets:get "new")
    assert.is_nil(result)
    answer(events[1], { status = 200, body = "welcome" })
    Loop.run(1)
    assert.are.equal("welcome", result.body)
  end)

  it("stops taking batches, and agrees on nothing else anew", function()
    connection = Worker.open(worker, { takes_batches = true, rate = 3 })
    connection:stop_batches()
    assert.is_false(connection.options.takes_batches)
    assert.are.equal(3, connection.options.rate)
  end)

  it("is no longer than a table of 16 fields while it is open and idle", function()
    connection:receive("one", true)
    connection:receive("two", true)
    connection.user, connection.topics = "user", {}
    connection:set_state "state"
    answer(events[1])
    answer(events[2])
    local count = 0
    for _ in pairs(connection) do
      count = count + 1
    end
    assert.is_true(count <= 16, count .. " fields: the next size of a table is 32")
  end)
end)
