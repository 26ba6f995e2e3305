local Worker = require "support.worker"
local Attachment = require "framegate.socket.attachment"
local Config = require "framegate.config"
local Encoder = require "framegate.protocol.encoder"
local Loop = require "support.event_loop"
local Moving = require "framegate.socket.moving"

describe("a session and its transports", function()
  local worker, connection, transport

  before_each(function()
    Loop.run(1e6)
    Loop.reset()
    worker = Worker.new()
    connection, transport = Worker.open_session(worker)
  end)

  after_each(function()
    if connection.phase ~= "ended" then
      connection:finish()
    end
  end)

  local function client(received) return { key = connection.session.token, received = received or 0 } end

  local function kinds()
    local list = {}
    for i, event in ipairs(worker.dispatch.events) do
      list[i] = event.kind
    end
    return table.concat(list, " ")
  end

  it("begins with its frame, before the frames of the answer to open", function()
    assert.matches(
      '^\129.{"session":".*","for":"nonce","resumed":false,"received":0,"keep":60}\137\0010$',
      transport.first
    )
    assert.are.equal(transport, connection.outbox.transport)
  end)

  it("goes on without a transport, and with another one", function()
    Attachment.ended(connection, transport)
    assert.is_true(connection:is_detached())
    assert.is_nil(connection.outbox.transport)
    connection:send("a", true)
    local another, token = Worker.transport(), connection.session.token
    assert.is_true(Attachment.resume(connection, another, client()))
    assert.matches('"for":"' .. token:gsub("-", "%%-") .. '","resumed":true', another.first)
    assert.is_false(connection:is_detached())
    assert.are.equal("\129\1a", Worker.written(connection))
    Attachment.ended(connection, transport) -- nginx frees the first request only now
    assert.is_false(connection:is_detached())
    assert.are.equal("", kinds())
  end)

  it("sends again what the client does not have", function()
    for _, text in ipairs { "a", "b", "c" } do
      connection:send(text, true)
    end
    Worker.written(connection)
    Attachment.ended(connection, transport)
    local another = Worker.transport()
    Attachment.resume(connection, another, client(1))
    assert.matches("\137\0011\129\1b\129\1c$", another.first)
  end)

  it("sends again in the form that the new transport has agreed on, and keeps messages as they are", function()
    local long = ("a text that is sent again "):rep(20)
    require("framegate.config").SESSION_BYTES = 10000
    require("framegate.push.compression").start()
    local compression = require("framegate.push.compression").negotiate "permessage-deflate"
    connection.outbox.transport.compression = compression
    connection:send(long, true)
    assert.are.equal(0xC1, Worker.written(connection):byte())
    assert.are.same({ Encoder.frame(long, true) }, connection.session.ring:frames())
    Attachment.ended(connection, connection.outbox.transport)
    local plain = Worker.transport()
    Attachment.resume(connection, plain, client())
    assert.are.equal(Encoder.frame(long, true), plain.first:sub(-#long - 4))
    Attachment.ended(connection, plain)
    connection:send(long, true)
    local compressed = Worker.transport()
    compressed.compression = compression
    Attachment.resume(connection, compressed, client())
    assert.is_true(#compressed.first < #long)
    assert.are.equal(compressed.first:sub(-20), Worker.written(connection):sub(-20))
  end)

  it("takes away a transport that it still has, and ends its connection", function()
    assert.is_true(Attachment.resume(connection, Worker.transport(), client()))
    assert.is_true(transport.is_abandoned)
    assert.are.same({ 7 }, worker.shut)
  end)

  it("ends no connection whose request is over: another may have its number", function()
    Attachment.ended(connection, transport)
    Attachment.resume(connection, Worker.transport(), client())
    assert.are.same({}, worker.shut)
  end)

  it("ends a transport that has only begun when a later one comes, and the later one has the session", function()
    Attachment.ended(connection, transport)
    local key, results = client(), {}
    local first, second = Worker.transport(), Worker.transport()
    function first.begin()
      ngx.sleep(10)
      return true
    end
    Loop.spawn(function() results[1] = Attachment.resume(connection, first, key) end)
    Loop.run(1)
    Loop.spawn(function() results[2] = Attachment.resume(connection, second, key) end)
    Loop.run(20)
    assert.are.same({ false, true }, results)
    assert.are.same({ 7 }, worker.shut)
    assert.are.equal(second, connection.outbox.transport)
  end)

  it("is as it was when the client leaves again before its first bytes are out", function()
    Attachment.ended(connection, transport)
    local another = Worker.transport()
    another.is_broken = true
    assert.is_false(Attachment.resume(connection, another, client()))
    Attachment.ended(connection, another)
    assert.is_true(connection:is_detached())
    assert.is_nil(connection.session.newest)
    assert.is_true(Attachment.resume(connection, Worker.transport(), client()))
  end)

  it("does not go to a client that lacks something, or when it closes or moves", function()
    Config.SESSION_BYTES = 2
    connection:send("gone", true)
    Worker.written(connection)
    assert.is_false(Attachment.resume(connection, Worker.transport(), client(0)))
    assert.is_false(Attachment.resume(connection, Worker.transport(), client(2)))
    assert.is_nil(transport.is_abandoned)
    Moving.begin(connection, false)
    assert.is_false(Attachment.resume(connection, Worker.transport(), client(1)))
    Moving.finish(connection)
    connection:close(1000, nil, "handler")
    assert.is_false(Attachment.resume(connection, Worker.transport(), client(1)))
    assert.is_false(connection:is_detached())
    Attachment.ended(connection, transport)
    assert.are.equal("ended", connection.phase)
  end)

  it("does not go to a client whose session has ended, or has begun to move, while its first bytes went out", function()
    for _, change in ipairs { function() Moving.begin(connection, false) end, function() connection:finish() end } do
      if connection.outbox.transport then
        Attachment.ended(connection, connection.outbox.transport)
      end
      local another = Worker.transport()
      function another.begin()
        change()
        return true
      end
      assert.is_false(Attachment.resume(connection, another, client()))
      assert.is_nil(connection.outbox.transport)
      if connection.moving then
        Moving.finish(connection)
      end
    end
  end)

  it("waits for a client that has left before the first frame", function()
    local Connection = require "framegate.socket.connection"
    local Session = require "framegate.session.session"
    local other = Connection.new { id = "other", path = "/", lines = "host: a\r\nx-forwarded-for: 1.2.3.4\r\n" }
    other:register()
    other:begin_session(Session.new("other", "other nonce", { keep = 60 }))
    local broken = Worker.transport()
    broken.is_broken = true
    assert.is_false(Attachment.open(other, broken, { key = "other nonce" }))
    assert.are.same({ "open", true }, { other.phase, other:is_detached() })
    assert.is_true(Attachment.resume(other, Worker.transport(), { key = "other nonce", received = 0 }))
    other:finish()
  end)

  it("is remembered as closed when its last transport was an event stream, not when only the first was", function()
    local Places = require "framegate.session.places"
    for _, is_stream in ipairs { true, false } do
      Attachment.ended(connection, connection.outbox.transport)
      local another = Worker.transport()
      another.is_stream = is_stream
      Attachment.resume(connection, another, client())
    end
    local first = connection
    first:close(4001, "over", "handler")
    first:finish()
    assert.is_false(Places.is_closed(first.session.token))
    connection, transport = Worker.open_session(worker)
    Attachment.ended(connection, transport)
    local stream = Worker.transport()
    stream.is_stream = true
    Attachment.resume(connection, stream, client())
    connection:close(4001, "over", "handler")
    connection:finish()
    assert.is_true(Places.is_closed(connection.session.token))
  end)

  it("is away once, although both its handshake and nginx report the end", function()
    local Connection = require "framegate.socket.connection"
    local Detached = require "framegate.socket.detached"
    local Session = require "framegate.session.session"
    local other = Connection.new { id = "other", path = "/", lines = "host: a\r\nx-forwarded-for: 1.2.3.4\r\n" }
    other:register()
    other:begin_session(Session.new("other", "other nonce", { keep = 60 }))
    Attachment.ended(other, nil)
    other:request_ended()
    assert.are.equal(1, Detached.state().count)
    Attachment.resume(other, Worker.transport(), { key = "other nonce", received = 0 })
    other:request_ended()
    Loop.run(100)
    assert.are.same({ "open", false, 0 }, { other.phase, other:is_detached(), Detached.state().count })
    other:finish()
  end)

  it("gives its handler an event for each loss and return only with notify", function()
    local notified, carrier = Worker.open_session(worker, { keep = 60, mode = "notify" })
    Attachment.ended(notified, carrier)
    assert.are.equal("detach", kinds())
    Worker.answer(worker.dispatch.events[1])
    Attachment.resume(notified, Worker.transport(), { key = notified.session.token, received = 0 })
    assert.are.equal("detach resume", kinds())
    notified:finish()
  end)

  it("is a plain socket's end when there is no session", function()
    local plain, carrier = Worker.open(worker)
    Attachment.ended(plain, carrier)
    assert.are.equal("ended", plain.phase)
    Attachment.ended(plain, carrier)
    assert.are.equal("close", kinds())
  end)

  it("sends a client away with 1012, and keeps the session", function()
    Attachment.send_away(connection, "the gateway stops")
    assert.are.equal("\136\19\3\244the gateway stops", Worker.written(connection))
    assert.is_true(transport.is_sent_away)
    assert.are.equal("open", connection.phase)
    Attachment.ended(connection, transport)
    Attachment.send_away(connection, "twice")
    assert.are.equal("", Worker.written(connection))
  end)
end)
