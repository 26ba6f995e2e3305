local Moves = require "support.moves"
local Stub = require "support.ngx"
local Worker = require "support.worker"
local Alarms = require "framegate.socket.alarms"
local Attachment = require "framegate.socket.attachment"
local Baggage = require "framegate.socket.baggage"
local Connection = require "framegate.socket.connection"
local Encoder = require "framegate.protocol.encoder"
local Inbox = require "framegate.socket.inbox"
local Later = require "framegate.socket.later"
local Options = require "framegate.socket.options"
local Parcel = require "framegate.session.parcel"

local ANY = "\0\255:\r\n\128"

describe("what a socket takes along", function()
  local worker, connection, transport

  before_each(function()
    worker = Moves.worker()
    connection, transport = Worker.open_session(worker, { keep = 60, mode = "notify", protocol = "chat" })
  end)

  after_each(function() Moves.finish(worker) end)

  -- The connection as it is in the worker that gets it, some seconds later.
  local function moved(seconds)
    if not connection:is_detached() then
      Attachment.ended(connection, transport)
    end
    local bytes = Baggage.pack(connection, { any = "more" })
    connection:leave()
    Stub.now = Stub.now + (seconds or 0)
    local facts, items = Parcel.unpack(bytes)
    local other = Connection.new { id = facts.id, path = facts.path, lines = facts.handshake }
    other:register()
    Baggage.restore(other, facts, items)
    Attachment.arrive(other, facts.away_seconds)
    return other, facts
  end

  it("is who it is, and what its handler knows of it", function()
    connection:set_handshake "cookie: \255=1\r\nx-forwarded-for: 1.2.3.4\r\n"
    connection:set_state "a%20b"
    connection.traffic.events, connection.options =
      7, Options.of { rate = 5, closes_on_overflow = true, text_mode = "form" }
    worker.registry:name_user(connection, "ann")
    worker.registry:subscribe(connection, "news")
    local other, facts = moved()
    assert.are.same({
      connection.id,
      "/ws/echo",
      "cookie: \255=1\r\nx-forwarded-for: 1.2.3.4\r\n",
      "a%20b",
      connection.traffic.events,
      connection.options,
    }, { other.id, other.path, other.handshake, other.state, other.traffic.events, other.options })
    assert.are.same({ "ann", { "news" }, { any = "more" } }, { facts.user, facts.topics, facts.more })
  end)

  it("is its age, its traffic and the time that its client was away", function()
    connection.traffic.frames_in, connection.traffic.bytes_out = 3, 4000000000
    local opened = connection.traffic.opened
    Stub.now = Stub.now + 20
    Attachment.ended(connection, transport)
    Stub.now = Stub.now + 5
    local other = moved(100) -- the clock of another machine
    assert.are.equal(opened, other.traffic.opened)
    assert.are.equal(25, Stub.now - other:began_at())
    assert.are.equal(5, Stub.now - other.session.detached_at)
    assert.are.same({ 3, 4000000000 }, { other.traffic.frames_in, other.traffic.bytes_out })
  end)

  it("is its session, with the messages that its client has not acknowledged and those that wait", function()
    connection:send("a", true)
    connection:send(ANY, false)
    Worker.written(connection)
    connection.session:count_received(1)
    Attachment.ended(connection, transport)
    connection:send(ANY .. "b", true)
    connection:send("c", true)
    local session, other = connection.session, moved()
    local again = other.session
    assert.are.same(
      { session.token, session.former, 60, "notify", "chat", 1 },
      { again.token, again.former, again.keep, again.mode, again.protocol, again.received }
    )
    assert.are.same({ 0, 2 }, { again.ring.base, again.ring.top })
    assert.are.equal(Encoder.frame("a", true) .. Encoder.frame(ANY, false), again.ring:after(0))
    assert.are.equal(Encoder.frame("\0" .. ANY .. "b", true) .. Encoder.frame("c", true), Worker.written(other))
  end)

  it("lets frames with a key be replaced on the other side, too", function()
    connection:offer(Encoder.message("old", true, "k"))
    connection:offer(Encoder.message("x", true))
    local other = moved()
    other:offer(Encoder.message("new", true, "k"))
    local written = Worker.written(other) .. Worker.written(other)
    assert.is_nil(written:find("old", 1, true))
    assert.are.equal(#Encoder.frame("new", true) + #Encoder.frame("x", true), #written)
  end)

  it("is what waits to become an event, in order", function()
    connection.is_in_flight = true
    connection:receive(ANY, false)
    connection:enqueue(Inbox.add_own(connection.inbox, { kind = "alarm" }))
    connection:receive("b", true)
    connection:close_after_replies(4001, "bye", "client")
    local other = moved()
    local taken, rest = {}, other.inbox
    for i = 1, 5 do
      taken[i], rest = Inbox.take(rest)
    end
    assert.are.equal(other, taken[2].alarm.connection, "a new alarm replaces it")
    taken[2].alarm = nil
    assert.are.same({
      { payload = ANY, is_text = false },
      { kind = "alarm" },
      { payload = "b", is_text = true },
      { code = 4001, reason = "bye", cause = "client" },
    }, taken)
  end)

  it("is every one of its topics, as many as MAX_TOPICS can be", function()
    for i = 1, 10000 do
      worker.registry:subscribe(connection, "t" .. i)
    end
    local _, facts = moved()
    assert.are.equal(10000, #facts.topics)
  end)

  it("is what its handler has left with the gateway in GRIP", function()
    local facts = connection:grip_facts()
    facts.rest = { { type = "BINARY", content = ANY } }
    facts.filters = { meta = { user = "ann" }, topics = { news = { "skip-self" } } }
    connection.options = Options.of { protocol = "grip" }
    Later.keep_alive(connection, { message = { kind = "text", payload = "still here" }, seconds = 5 })
    local other = moved()
    assert.are.same(
      { facts.rest, facts.filters, true },
      { other.grip.rest, other.grip.filters, other.grip.is_kept_alive }
    )
    assert.are.equal("grip", other.options.protocol)
    Later.clear(other)
    connection, transport = Worker.open_session(worker)
    assert.is_nil(moved().grip)
  end)

  it("is its alarm", function()
    Alarms.set(connection, 30)
    Stub.now = Stub.now + 10
    local other = moved()
    assert.are.equal(20, Alarms.left(other))
    assert.is_nil(Alarms.left(connection))
  end)
end)
