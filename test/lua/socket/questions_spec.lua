local Stub = require "support.ngx"
local Worker = require "support.worker"
local Connection = require "framegate.socket.connection"
local Encoder = require "framegate.protocol.encoder"
local Loop = require "support.event_loop"
local Moving = require "framegate.socket.moving"
local Options = require "framegate.socket.options"

local answer, written = Worker.answer, Worker.written
local PUBLIC = { ["content-type"] = "text/plain", ["cache-control"] = "public, max-age=5" }

local function text(...)
  local frames = {}
  for i, payload in ipairs { ... } do
    frames[i] = Encoder.frame(payload, true)
  end
  return table.concat(frames)
end

describe("a question", function()
  local worker, events

  before_each(function()
    worker = Worker.new()
    events = worker.dispatch.events
  end)

  local function open(id, facts)
    local connection = Connection.new { id = id, path = "/ws/prices", lines = "host: a\r\n" }
    connection:register(Options.of { is_cached = true })
    connection:open(Worker.transport())
    for name, value in pairs(facts or {}) do
      connection[name] = value
    end
    return connection
  end

  local function counted(result) return worker.counted["framegate_cache_messages_total/" .. result] end

  it("gets the kept answer, without an event and its number, until that is stale", function()
    local a, b = open "a", open "b"
    a:receive("now?", true)
    answer(events[1], { body = "42", headers = PUBLIC })
    b:receive("now?", true)
    assert.are.equal(text "42", written(b))
    assert.are.equal(1, #events)
    assert.are.equal(0, b.traffic.events)
    Stub.now = Stub.now + 5
    b:receive("now?", true)
    assert.are.equal("b/0", events[2].id)
    assert.are.same({ 1, 2 }, { counted "hit", counted "miss" })
  end)

  it("waits for an equal one in flight", function()
    local a, b, c = open "a", open "b", open("c", { user = "carl" })
    a:receive("now?", true)
    b:receive("now?", true)
    c:receive("now?", true)
    assert.are.equal(2, #events)
    assert.is_true(b.is_in_flight)
    answer(events[1], { body = "42", headers = PUBLIC })
    assert.are.same({ text "42", text "42", "" }, { written(a), written(b), written(c) })
    assert.is_falsy(b.is_in_flight)
    assert.are.same({ 1, 2 }, { counted "wait", counted "miss" })
  end)

  it("becomes an event if the answer is not kept, each by itself", function()
    local a, b, c = open "a", open "b", open "c"
    for _, connection in ipairs { a, b, c } do
      connection:receive("now?", true)
    end
    answer(events[1], { body = "no", headers = { ["content-type"] = "text/plain" } })
    assert.are.equal(3, #events)
    answer(events[3], { body = "c", headers = { ["content-type"] = "text/plain" } })
    assert.is_true(b.is_in_flight)
    answer(events[2], { failure = "timeout", error = { status = 504, message = "late" } })
    assert.are.same({ text "no", text "c" }, { written(a), written(c) })
    assert.matches("late", written(b))
  end)

  it("keeps the order of its socket", function()
    local a, b = open "a", open "b"
    a:receive("1", true)
    answer(events[1], { body = "one", headers = PUBLIC })
    b:receive("0", true)
    b:receive("1", true)
    b:receive("1", true)
    b:receive("2", true)
    assert.are.equal("", written(b))
    answer(events[2], { body = "zero", headers = { ["content-type"] = "text/plain" } })
    assert.are.equal(text("zero", "one", "one"), written(b))
    assert.are.same({ "2", "b/1" }, { events[3].body, events[3].id })
  end)

  it("of a socket that has ended becomes an event only if it gets no kept answer", function()
    local a, b, c = open "a", open "b", open "c"
    a:receive("1", true)
    b:receive("1", true)
    b:finish()
    assert.are.equal(1, #events)
    answer(events[1], { body = "one", headers = PUBLIC })
    assert.are.same({ "close", "b/close" }, { events[2].kind, events[2].id })
    a:receive("2", true)
    c:receive("2", true)
    c:finish()
    answer(events[3], { body = "two" })
    assert.are.equal("2", events[4].body)
    answer(events[4])
    assert.are.equal("c/close", events[5].id)
  end)

  it("waits no longer than HANDLER_TIMEOUT", function()
    local a, b, c = open "a", open "b", open "c"
    a:receive("now?", true)
    Loop.run(20)
    b:receive("now?", true)
    Loop.run(29.9)
    assert.are.equal(1, #events)
    Loop.run(0.2)
    assert.are.equal(2, #events)
    c:receive("now?", true)
    assert.are.equal(3, #events)
    answer(events[1], { body = "42", headers = PUBLIC })
    answer(events[2], { body = "43", headers = PUBLIC })
    answer(events[3], { body = "44", headers = PUBLIC })
    assert.are.same({ text "42", text "43", text "44" }, { written(a), written(b), written(c) })
  end)

  it("lets the move of its socket wait, like an event in flight", function()
    local a, b = open "a", open "b"
    a:receive("now?", true)
    b:receive("now?", true)
    Moving.begin(b, false)
    local has_answered
    b.moving.on_answered = function() has_answered = true end
    b:receive("more", true)
    answer(events[1], { body = "42", headers = PUBLIC })
    assert.is_true(has_answered)
    assert.are.equal(1, #events)
    Moving.finish(b)
    b:advance()
    assert.are.equal("more", events[2].body)
  end)

  it("gets no answer that was made for other headers of its handshake", function()
    local a, b = open "a", open "b"
    a:receive("now?", true)
    a:set_handshake "host: a\r\naccept-language: de\r\n"
    answer(events[1], { body = "42", headers = PUBLIC })
    b:receive("now?", true)
    assert.are.equal(2, #events)
  end)

  it("waits for the event that another worker has sent, and for no killed one", function()
    for _, owner in ipairs { "other", "killed" } do
      local a = open(owner)
      local question = worker.answers:question(a, owner, true)
      worker.answers:claim(question, owner, 30)
      a:receive(owner, true)
      assert.are.same({ 1, true }, { worker.dispatch.held, a.is_in_flight })
      Loop.run(0)
      if owner == "other" then
        assert.are.equal(0, #events)
        worker.answers:keep(question, a.handshake, { status = 200, headers = PUBLIC, body = "42" })
        worker.answers:release(question, owner)
        Loop.run(0.01)
        assert.are.equal(text "42", written(a))
      end
      Loop.run(0.01)
      assert.are.equal(owner == "other" and 0 or 1, #events)
      assert.are.equal(0, worker.dispatch.held)
      assert.is_nil(worker.answers:owner(question))
    end
  end)
end)
