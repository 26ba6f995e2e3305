local Moves = require "support.moves"
local Loop = require "support.event_loop"
local Worker = require "support.worker"
local HandOver = require "framegate.socket.hand_over"
local Moving = require "framegate.socket.moving"
local Parcel = require "framegate.session.parcel"
local Places = require "framegate.session.places"

local TO = "nodeanothe"

describe("giving a socket away", function()
  local worker, connection, transport, results, number

  before_each(function()
    worker = Moves.worker()
    connection, transport = Worker.open_session(worker)
    results = {}
  end)

  after_each(function() Moves.finish(worker) end)

  local function reply(result) results[#results + 1] = result end

  local function begin(changes)
    local client = Moves.client(connection)
    for name, value in pairs(changes or {}) do
      client[name] = value
    end
    local result = HandOver.begin { id = connection.id, client = client, to = TO }
    number = type(result) == "table" and result.move or number
    return result
  end

  local function finish()
    local run = HandOver.finish { id = connection.id, to = TO, move = number }
    assert.is_function(run)
    run(reply)
  end

  local function answer_echoes() worker.bus.asked[#worker.bus.asked].answer({}, true) end

  local function assert_is_here()
    assert.are.equal("open", connection.phase)
    assert.is_nil(connection.moving)
    assert.are.equal(connection, worker.registry:get(connection.id))
    assert.are.equal("nodeworker", Places.holder(connection.id))
  end

  describe("begins", function()
    it("with the facts that the other side enters it with, and takes its transport", function()
      worker.registry:subscribe(connection, "news")
      worker.registry:subscribe(connection, "kept")
      worker.registry:name_user(connection, "ann")
      worker.feeds.positions.kept = "e.5"
      connection:grip_facts().filters = { meta = { user = "ann" }, topics = { news = { "skip-self" } } }
      local facts = { path = "/ws/echo", handshake = connection.handshake, user = "ann", topics = { "news" } }
      facts.filters = connection.grip.filters
      local begun = begin()
      facts.move = begun.move
      assert.are.same(facts, begun)
      assert.is_number(begun.move)
      assert.is_true(transport.is_abandoned)
      assert.is_true(connection:is_detached())
      assert.is_table(connection.moving)
    end)

    it("not with a socket that is not here, or has ended", function()
      assert.are.same({ is_gone = true }, HandOver.begin { id = "nodeworkernobody" })
      connection:finish()
      assert.are.same({ is_gone = true }, begin())
    end)

    it("not for another client, whose transport stays", function()
      assert.are.same({ is_refused = true }, begin { path = "/ws/other" })
      assert.are.same({ is_refused = true }, begin { key = ("x"):rep(32) })
      assert.are.same({ is_refused = true }, begin { received = 1 })
      assert.is_nil(transport.is_abandoned)
      assert_is_here()
    end)

    it("not for a client that lacks what is let go: then it ends", function()
      connection:send("gone", true)
      Worker.written(connection)
      connection.session.ring:acknowledge(1)
      assert.are.same({ is_refused = true }, begin { received = 0 })
      assert.are.same({ "ended", 1006 }, { connection.phase, connection.closing.code })
    end)

    it("not with a plain socket", function()
      local plain = Worker.open(worker)
      local client = { key = "k", received = 0, path = plain.path, lines = plain.handshake }
      assert.are.same({ is_refused = true }, HandOver.begin { id = "id", client = client })
    end)

    it("again for the worker that its client comes back to meanwhile, and no longer for the first one", function()
      begin()
      local first = connection.moving
      local client = Moves.client(connection)
      local begun = HandOver.begin { id = connection.id, client = client, to = "nodethirdd" }
      assert.are.equal("/ws/echo", begun.path)
      assert.are_not.equal(first, connection.moving)
      assert.are.same({ is_gone = true }, HandOver.finish { id = connection.id, to = TO })
      assert.is_function(HandOver.finish { id = connection.id, to = "nodethirdd", move = begun.move })
    end)

    it("again for a worker that its client comes back to, and no longer for its first request", function()
      begin()
      local first = number
      HandOver.recall(connection)
      assert.are.equal(first + 1, begin().move)
      assert.are.same({ is_gone = true }, HandOver.finish { id = connection.id, to = TO, move = first })
      finish()
    end)

    it("not again for another client, for a node that stops, or when it was sent", function()
      begin()
      local moving = connection.moving
      assert.are.same({ is_busy = true }, begin { path = "/ws/other" })
      assert.are.same({ is_busy = true }, HandOver.begin { id = connection.id, to = TO })
      finish()
      answer_echoes()
      assert.is_true(moving.is_sent)
      assert.are.same({ is_busy = true }, begin())
      assert.are.equal(moving, connection.moving)
    end)

    it("once for two clients that have come to the same worker", function()
      begin()
      local moving = connection.moving
      assert.are.same({ is_busy = true }, begin())
      assert.are.equal(moving, connection.moving)
      finish()
      answer_echoes()
      assert.is_true(moving.is_sent)
    end)

    it("no longer when the time of a stop is over, unless it was sent", function()
      begin()
      HandOver.recall_all()
      assert_is_here()
      begin()
      finish()
      answer_echoes()
      HandOver.recall_all()
      assert.is_true(connection.moving.is_sent)
    end)

    it("no longer when its client comes back here", function()
      begin()
      HandOver.recall(connection)
      assert_is_here()
      HandOver.recall(connection)
      assert_is_here()
    end)

    it(
      "for another node without a client, when this one stops",
      function() assert.are.equal("/ws/echo", HandOver.begin({ id = connection.id, to = "farrworker" }).path) end
    )

    it("when its event was answered", function()
      connection:receive("a", true)
      connection:receive("b", true)
      begin()(reply)
      Loop.run(3.9)
      assert.are.same({}, results)
      Worker.answer(worker.dispatch.events[1], { body = "re a" })
      assert.are.equal("/ws/echo", results[1].path)
      assert.are.equal(1, #worker.dispatch.events)
      assert.is_table(connection.moving)
    end)

    it("not when the handler is too slow: then it stays, and its events go on", function()
      connection:receive("a", true)
      connection:receive("b", true)
      begin()(reply)
      Loop.run(4)
      assert.are.same({ { is_busy = true } }, results)
      assert_is_here()
      Worker.answer(worker.dispatch.events[1])
      assert.are.equal("b", worker.dispatch.events[2].body)
      assert.are.equal(1, #results)
    end)
  end)

  it("waits until every worker has answered an echo, then sends it with what was delivered here", function()
    connection.session.behind = { farrworker = 3, nodeanothe = 2 }
    begin()
    finish()
    assert.are.equal("echo", worker.bus.asked[1].op)
    connection:offer { frame = "\129\1a", payload_bytes = 1 }
    worker.origins:note { "nodeanothe", 9 }
    assert.are.same({}, worker.carriers.sent)
    answer_echoes()
    local sent = worker.carriers.sent[1]
    local facts, items = Parcel.unpack(sent.parcel)
    assert.are.same({ TO, { id = connection.id, from = "nodeworker" } }, { sent.to, sent.args })
    assert.are.same({ { farrworker = 3, nodeanothe = 9 }, { "\129\1a" } }, { facts.more.delivered, items })
    assert.are.same({}, results)
  end)

  it("sends also what was delivered where it was before it came here", function()
    connection.session.behind = { nodeanothe = 9, farfarther = 3, nodethird1 = 1 }
    worker.origins:note { "nodeanothe", 4 }
    worker.origins:note { "nodethird1", 2 }
    begin()
    finish()
    answer_echoes()
    local facts = Parcel.unpack(worker.carriers.sent[1].parcel)
    assert.are.same({ nodeanothe = 9, farfarther = 3, nodethird1 = 2 }, facts.more.delivered)
  end)

  it("is closed and not sent when its handler closes it meanwhile", function()
    begin()
    connection:close(4401, "no", "handler")
    finish()
    answer_echoes()
    assert.are.same({ { is_gone = true } }, results)
    assert.are.same({}, worker.carriers.sent)
    assert.are.same({ "ended", 4401 }, { connection.phase, connection.closing.code })
    assert.is_false(Places.is_moving(connection.id))
  end)

  it("stays here while a worker stands still, which may have sent something to the other side alone", function()
    for i = 1, 2 do
      begin()
      finish()
      Loop.run(3.9)
      assert.are.equal(i - 1, #results)
      Loop.run(0.1)
      assert.are.same({ is_gone = true }, results[i])
      assert_is_here()
    end
    answer_echoes()
    assert.are.same({ 2, 0 }, { #results, #worker.carriers.sent })
    begin()
    finish()
    answer_echoes()
    assert.are.equal(1, #worker.carriers.sent)
  end)

  it("stays here when the other side does not want it now", function()
    begin()
    connection:receive("a", true)
    assert.are.same({ is_gone = true }, HandOver.finish { id = connection.id, to = TO, move = number, is_off = true })
    assert_is_here()
    assert.are.equal("a", worker.dispatch.events[1].body)
  end)

  it("does not wait for a worker that has stood still for 10 s, and is sent once", function()
    for _ = 1, 2 do
      begin()
      finish()
      Loop.run(4)
    end
    assert.are.equal(0, #worker.carriers.sent)
    begin()
    finish()
    Loop.run(4)
    assert.are.equal(1, #worker.carriers.sent)
    answer_echoes()
    assert.are.equal(1, #worker.carriers.sent)
  end)

  it("forgets it when the other side has it: no close event follows, and requests learn where it is", function()
    local place
    begin()
    Moving.wait(connection, function() place = Places.holder(connection.id) end)
    finish()
    answer_echoes()
    worker.carriers.sent[1].answer(true)
    assert.are.same({ { ok = true } }, results)
    assert.are.same({ "ended", TO }, { connection.phase, place })
    assert.is_nil(worker.registry:get(connection.id))
    assert.are.same({}, worker.dispatch.events)
    assert.are.equal(connection.id, Places.of_key(connection.session.token))
    assert.is_nil(worker.counted.closed)
  end)

  it("keeps it when the other side refuses it, or does not answer", function()
    for _ = 1, 2 do
      begin()
      connection:receive("a", true)
      finish()
      answer_echoes()
      worker.carriers.sent[#worker.carriers.sent].answer(false)
      assert.are.same({ ok = false }, results[#results])
      assert_is_here()
      Worker.answer(table.remove(worker.dispatch.events))
    end
  end)

  it("keeps it when the other side is gone: after 15 s its events go on", function()
    begin()
    connection:receive("a", true)
    Loop.run(14.9)
    assert.are.same({}, worker.dispatch.events)
    Loop.run(0.1)
    assert_is_here()
    assert.are.equal("a", worker.dispatch.events[1].body)
    assert.are.same({ is_gone = true }, HandOver.finish { id = connection.id, to = TO })
  end)

  it("does not send it when the time is over before the echoes come", function()
    begin()
    Loop.run(14)
    finish()
    Loop.run(1)
    assert_is_here()
    answer_echoes()
    assert.are.same({ { is_gone = true } }, results)
    assert.are.same({}, worker.carriers.sent)
  end)

  it("keeps it when shared memory has no room for its place", function()
    begin()
    finish()
    ngx.shared.sessions.capacity = 0
    answer_echoes()
    ngx.shared.sessions.capacity = math.huge
    assert.are.same({ { is_gone = true } }, results)
    assert_is_here()
    assert.are.same({}, worker.carriers.sent)
  end)

  it("is not finished for a socket that is not moving, or that is just coming", function()
    assert.are.same({ is_gone = true }, HandOver.finish { id = "nodeworkernobody", to = TO })
    assert.are.same({ is_gone = true }, HandOver.finish { id = connection.id, to = TO })
    Moving.begin(connection, true)
    assert.are.same({ is_gone = true }, HandOver.finish { id = connection.id, to = TO })
    Moving.finish(connection)
  end)
end)
