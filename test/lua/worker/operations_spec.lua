local Moves = require "support.moves"
local Loop = require "support.event_loop"
local Worker = require "support.worker"
local Config = require "framegate.config"
local Encoder = require "framegate.protocol.encoder"
local Entry = require "framegate.socket.entry"
local HandOver = require "framegate.socket.hand_over"
local Moving = require "framegate.socket.moving"
local Operations = require "framegate.worker.operations"
local Options = require "framegate.socket.options"
local Places = require "framegate.session.places"
local Record = require "framegate.socket.record"

describe("an operation", function()
  local worker, connection, operations, results

  before_each(function()
    worker = Moves.worker()
    Config.NODE_NAME = "here"
    connection = Worker.open_session(worker)
    worker.groups.when_known = function(_, run) run() end
    operations = Operations.new(worker)
    results = {}
  end)

  after_each(function()
    Moves.finish(worker)
    Config.NODE_NAME = nil
  end)

  local function reply(result) results[#results + 1] = result end

  -- Runs one whose result comes later.
  local function run(op, args, payload)
    args.id = args.id or connection.id
    local result = operations[op](operations, args, payload)
    if type(result) == "function" then
      return result(reply)
    end
    reply(result)
  end

  local function move_to(holder)
    Moving.begin(connection, false)
    Places.move(connection.id, holder)
  end

  describe("on one connection", function()
    it("is done in the worker that has it", function()
      run("send", { is_text = true }, "hi")
      run("describe", {})
      run("subscribe", { topic = "news" })
      run("unsubscribe", { topic = "news" })
      run("close", { code = 4000, reason = "bye" })
      assert.are.same({ delivered = 1, dropped = 0 }, results[1])
      assert.are.equal(connection.id, results[2].connection.id)
      assert.are.same({ { ok = true }, { ok = true }, { closed = true } }, { results[3], results[4], results[5] })
      assert.are.equal(4000, connection.closing.code)
    end)

    it("waits while it moves, and is done here when it stays", function()
      Moving.begin(connection, false)
      run("send", { is_text = true }, "a")
      run("subscribe", { topic = "news" })
      run("close", { code = 4000 })
      assert.are.same({}, results)
      assert.are.equal("", Worker.written(connection))
      Moving.finish(connection)
      assert.are.same({ { delivered = 1, dropped = 0 }, { ok = true }, { closed = true } }, results)
    end)

    it("learns where it has moved to", function()
      move_to "nodeanothe"
      run("send", { is_text = true }, "a")
      run("describe", {})
      connection:leave()
      assert.are.same({ { moved = "nodeanothe" }, { moved = "nodeanothe" } }, results)
      run("close", { code = 4000 })
      assert.are.same({ moved = "nodeanothe" }, results[3])
    end)

    it("waits on the side where it arrives, too", function()
      Moving.begin(connection, true)
      run("send", { is_text = true }, "a")
      assert.are.same({}, results)
      connection.moving.buffer = nil
      Moving.finish(connection)
      assert.are.same({ { delivered = 1, dropped = 0 } }, results)
      assert.are.equal(Encoder.frame("a", true), Worker.written(connection))
    end)

    it("waits again when the next move begins at once", function()
      Moving.begin(connection, false)
      Moving.wait(connection, function() Moving.begin(connection, false) end)
      run("send", { is_text = true }, "a")
      Moving.finish(connection)
      assert.are.same({}, results)
      Moving.finish(connection)
      assert.are.equal(1, #results)
    end)

    it("is gone when its id names this worker, which does not have it", function()
      run("send", { id = "nodeworkernobody", is_text = true }, "a")
      run("send", { id = "nodeanothenobody", is_text = true }, "a")
      assert.are.same({ { gone = true }, { moved = "nodeanothe" } }, results)
      connection:close(1000, nil, "handler")
      run("send", { is_text = true }, "a")
      assert.are.same({ gone = true }, results[3])
      connection:finish()
    end)
  end)

  describe("on many", function()
    it("notes which publications were delivered here, also where nobody gets them", function()
      for i, op in ipairs { "publish", "send_to_user", "broadcast" } do
        operations[op](operations, { topic = "t", user = "u", is_text = true, from = { "worker" .. i, i } }, "hi")
      end
      assert.are.same({ worker1 = 1, worker2 = 2, worker3 = 3 }, worker.origins:vector())
    end)

    it("reaches a socket on the side where it arrives once, and counts it", function()
      worker.registry:subscribe(connection, "news")
      Moving.begin(connection, true)
      local args = { topic = "news", is_text = true, from = { "nodeanothe", 5 } }
      assert.are.same({ delivered = 1, dropped = 0 }, operations:publish(args, "hi"))
      local gathered = connection.moving.buffer[1]
      assert.are.same({ "nodeanothe", 5, "news" }, { gathered.from[1], gathered.from[2], gathered.topic })
      Moving.finish(connection)
      connection.session.behind = { nodeanothe = 5 }
      operations:publish(args, "hi")
      assert.are.equal("", Worker.written(connection))
      operations:publish({ topic = "news", is_text = true, from = { "nodeanothe", 6 } }, "new")
      assert.are.equal(Encoder.frame("new", true), Worker.written(connection))
    end)

    it("reaches a socket that moves away until it has left", function()
      worker.registry:subscribe(connection, "news")
      HandOver.begin { id = connection.id, to = "nodeanothe" }
      assert.are.equal(1, operations:publish({ topic = "news", is_text = true }, "a").delivered)
      Moving.finish(connection)
      connection:leave()
      assert.are.equal(0, operations:publish({ topic = "news", is_text = true }, "a").delivered)
    end)

    it("filters frames of a socket also on the side where it arrives", function()
      connection:finish()
      local filters = { meta = { user = "ann" }, topics = { news = { "skip-self" } } }
      local coming =
        Entry.enter("nodeanothecoming", { path = "/", handshake = "", topics = { "news" }, filters = filters })
      local function publish(sender)
        return operations:publish({ topic = "news", is_text = true, meta = { sender = sender } }, sender).delivered
      end
      assert.are.same({ 0, 1 }, { publish "ann", publish "ben" })
      assert.are.equal(1, #coming.moving.buffer)
      Moving.finish(coming)
    end)

    it(
      "that asks for a request without events has it, also behind an event in flight whose answer sets an alarm",
      function()
        local events = worker.dispatch.events
        worker.registry:subscribe(connection, "news")
        connection.options = Options.of { protocol = "grip" }
        connection:receive("one", true)
        for _ = 1, 2 do
          assert.are.equal(1, operations:refresh_topic({ topic = "news" }).delivered)
        end
        Loop.run(1)
        assert.are.equal(1, #events)
        local function answer(event)
          local effects = { { kind = "alarm", seconds = 20 } }
          connection:answered(event, { status = 200, headers = {}, body = "", effects = effects })
        end
        answer(events[1])
        assert.are.same({ 2, "alarm" }, { #events, events[2].kind })
        answer(events[2])
        Loop.run(19)
        assert.are.equal(2, #events)
        operations:refresh_topic { topic = "news" }
        Loop.run(0.1)
        assert.are.same({ 3, "alarm" }, { #events, events[3].kind })
      end
    )

    it("that gives a frame a place leaves it to the feed", function()
      worker.feeds.arrive = function(_, args, payload) return { args.place, payload } end
      assert.are.same({ "place", "hi" }, operations:publish({ topic = "t", place = "place" }, "hi"))
    end)
  end)

  it("moves a socket: begin and finish", function()
    local facts =
      operations:begin_hand_over { id = connection.id, client = Moves.client(connection), to = "nodeanothe" }
    assert.are.equal("/ws/echo", facts.path)
    run("finish_hand_over", { to = "nodeanothe", move = facts.move })
    worker.bus.asked[1].answer({}, true)
    worker.carriers.sent[1].answer(true)
    assert.are.same({ { ok = true } }, results)
  end)

  it("accepts a socket from this node, and from another one through Redis", function()
    assert.are.same({ ok = false }, operations:take_socket({ id = "nobody", from = "nodeanothe" }, "bytes"))
    run("take_socket", { id = "nobody", from = "farrworker", text = "record", parcel = "name", count = 2 }, "")
    assert.are.same({ { ok = false } }, results)
    assert.are.same({}, worker.carriers.sent, "it is not expected")
    local id, coming = "farrworkerrest", { moving = { buffer = {}, waiting = {} }, phase = "ended" }
    coming.id = id
    worker.registry:add(coming)
    run("take_socket", { id = id, from = "farrworker", text = "record", parcel = "name", count = 2 }, "")
    assert.are.same({ "name", "record", true }, {
      worker.carriers.sent[1].fetched.parcel,
      ngx.shared.sockets:get(id),
      Places.move_of(id) == "farrworker",
    })
    worker.carriers.sent[1].answer(nil, true)
    assert.are.same({ ok = false }, results[2])
    assert.is_nil(coming.moving.is_fetching)
    assert.are.same({ "farrworker", false }, { Places.holder(id), Places.is_moving(id) })
    assert.is_nil(ngx.shared.sockets:get(id))
  end)

  it("asks Redis where a socket is that it could not get, and sends its close event if it was taken", function()
    local id = "farrworkerrest"
    local settled = { "farr", "node" }
    worker.carriers.settle = function() return table.remove(settled, 1) end
    worker.registry:add { id = id, moving = { buffer = {}, waiting = {} }, phase = "ended" }
    for i, is_ok in ipairs { false, true } do
      local args = { id = id, from = "farrworker", text = "500.5 990.25\n\n/ws/chat\n", parcel = "name", count = 1 }
      run("take_socket", args, "")
      worker.carriers.sent[i].answer(nil, false)
      Loop.run(0)
      assert.are.equal(is_ok, results[i].ok)
      assert.is_false(Places.is_moving(id))
    end
    Loop.run(1)
    assert.are.equal("close", worker.dispatch.events[1].kind)
    Places.forget(id)
  end)

  it("finds a session of this node by its keys", function()
    worker.holders.is_living = function() return true end
    assert.is_nil(operations:find_session({ key = connection.session.token }).id)
    Record.write(connection)
    assert.are.equal(connection.id, operations:find_session({ key = connection.session.token }).id)
  end)

  it("lists sessions whose clients are away, or the others, and counts those of all pages", function()
    local ConnectionInfo = require "framegate.telemetry.connection_info"
    local of = ConnectionInfo.of
    ConnectionInfo.of = function(one) return { id = one.id } end
    local Attachment = require "framegate.socket.attachment"
    local here, gone = { connection.id }, {}
    for i = 1, 2 do
      local one, carrier = Worker.open_session(worker)
      Attachment.ended(one, carrier)
      gone[i] = one.id
    end
    table.sort(gone)
    local function list(away, after)
      local listed, ids = operations:list { after = after or "", limit = 1000, away = away }, {}
      for i, facts in ipairs(listed.connections) do
        ids[i] = facts.id
      end
      return { ids, listed.count }
    end
    assert.are.same({ gone, 2 }, list(true))
    assert.are.same({ here, 1 }, list(false))
    assert.are.equal(3, list(nil)[2])
    assert.are.same({ { gone[2] }, 2 }, list(true, gone[1]))
    ConnectionInfo.of = of
  end)

  it("answers an echo", function()
    run("echo", {})
    assert.are.same({ {} }, results)
  end)
end)

describe("an operation over the link to Redis", function()
  local worker, operations, results, redis

  before_each(function()
    worker = Moves.worker()
    redis = require("support.fake_redis").new()
    local roster = { all = function() return {} end }
    local channels = require("framegate.cluster.channels").new "c"
    worker.link_holder = { link = { link = redis, own = "node", channels = channels, roster = roster } }
    worker.members.is_leaving = function() return false end
    operations, results = Operations.new(worker), {}
  end)

  local function run(op, args, payload)
    operations[op](operations, args, payload)(function(result) results[#results + 1] = result or "nil" end)
  end

  it("stores a socket that goes to another node, and takes one that has come", function()
    for _, answer in ipairs { "OK", "error" } do
      run("put_parcel", { id = "i", name = "n" }, "\0bytes")
      for _, sent in ipairs(redis:take()) do
        sent.callback(answer)
      end
    end
    local args = { id = "i", text = "record", from = "farrworker", parcel = "n", count = 1 }
    run("take_parcel", args)
    redis:take_one().callback { "\0bytes" }
    run("take_parcel", args)
    redis:take_one().callback(0)
    run("take_parcel", args)
    redis:take_one().callback(nil)
    assert.are.same({
      { count = 1 },
      {},
      { base64 = ngx.encode_base64 "\0bytes", is_refused = false },
      { is_refused = true },
      { is_refused = false },
    }, results)
  end)

  it("finds sockets, and claims nonces", function()
    run("find_socket", { id = "id" })
    redis:take_one().callback(1)
    run("find_socket", { id = "id" })
    redis:take_one().callback(nil)
    run("claim_nonce", { nonce = "n" })
    redis:take_one().callback "farr"
    assert.are.same({ { node = "node", is_away = false }, { is_away = true }, { node = "farr" } }, results)
  end)

  it("takes a session from a node that stops, and replies when that is over", function()
    worker.carriers.answers.begin_hand_over = { is_gone = true }
    run("adopt_session", { id = "farrworkerid", holder = "farrworker" })
    assert.are.same({}, results)
    Loop.run(0)
    assert.are.same({ {} }, results)
    assert.are.same(
      { "farrworker", "begin_hand_over", { id = "farrworkerid", to = "nodeworker" } },
      worker.carriers.asked[1]
    )
  end)

  it("has no result in a worker without the link", function()
    worker.link_holder.link = nil
    assert.are.same({}, operations:adopt_session { id = "farrworkerid", holder = "farrworker" })
    for _, op in ipairs { "put_parcel", "take_parcel", "find_socket", "claim_nonce" } do
      run(op, { name = "n", count = 1, id = "id", nonce = "n" }, "bytes")
    end
    assert.are.same({ "nil", "nil", "nil", "nil" }, results)
    assert.are.same({}, worker.carriers.asked)
  end)
end)
