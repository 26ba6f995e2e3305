local Worker = require "support.worker"
local Apply = require "framegate.socket.apply"
local Encoder = require "framegate.protocol.encoder"
local cjson = require "cjson.safe"

local DOCUMENT = { ["content-type"] = "application/vnd.framegate.effects+json" }

describe("the answer to a message", function()
  local worker, connection

  before_each(function()
    worker = Worker.new()
    connection = Worker.open(worker)
  end)

  local function apply(answer)
    answer.status, answer.headers, answer.body = answer.status or 200, answer.headers or {}, answer.body or ""
    Apply.answer(connection, { id = "id/1" }, answer)
    return Worker.written(connection)
  end

  local function error_of(frame) return cjson.decode(frame:match "{.*}") end

  it("is a frame, whatever its status", function()
    local headers = { ["content-type"] = "text/plain" }
    assert.are.equal(Encoder.frame("hi", true), apply { body = "hi", headers = headers })
    assert.are.equal(Encoder.frame("bad", true), apply { status = 422, body = "bad", headers = headers })
    assert.are.equal("", apply { status = 204 })
  end)

  it("is a frame if it is known to ask for nothing else", function()
    assert.are.equal(Encoder.frame("hi", true), apply { body = "hi", frame = "text" })
    assert.are.equal(Encoder.frame("bad", false), apply { status = 422, body = "bad", frame = "binary" })
  end)

  it("without a body and with an error is a frame that says so", function()
    local error = error_of(apply { status = 500 })
    assert.are.same(
      { statusCode = 500, error = "Error", message = "the handler answered 500 without a body", id = "id/1" },
      error
    )
  end)

  it("that failed is a frame with the failure", function()
    local error = error_of(apply { failure = "lost", error = { status = 502, message = "it broke" } })
    assert.are.same({ statusCode = 502, error = "Bad Gateway", message = "it broke", id = "id/1" }, error)
  end)

  it("that makes no sense is logged, counted and a frame", function()
    local error = error_of(apply { headers = DOCUMENT, body = "{}" })
    assert.are.equal(502, error.statusCode)
    assert.matches("^the handler's answer cannot be applied: ", error.message)
    assert.matches("^id/1: the handler's answer cannot be applied: ", worker.lines[1])
    assert.are.equal(1, worker.counted.framegate_answers_rejected_total)
  end)

  it("has effects, which are applied in their order", function()
    local written = apply {
      headers = DOCUMENT,
      body = cjson.encode {
        effects = {
          { subscribe = { "a", "b" } },
          { unsubscribe = { "a" } },
          { user = "ada" },
          { state = "x y" },
          { send = { text = "first" } },
          { publish = { topic = "b", text = "all" } },
          { close = { code = 4000, reason = "done" } },
          { send = { text = "never" } },
        },
      },
    }
    assert.are.equal(Encoder.frame("first", true) .. Encoder.close(4000, "done"), written)
    assert.are.same({ b = true }, connection.topics)
    assert.are.equal("ada", connection.user)
    assert.are.equal("x%20y", connection.state)
    assert.matches("\nx%%20y\n", ngx.shared.sockets:get "id")
    assert.are.same({ { "b", "all", "id" } }, worker.push.published)
  end)

  it("waits with a frame behind a subscription until other nodes know of it", function()
    local is_known, waiting = false, {}
    worker.groups.is_known = function() return is_known end
    worker.groups.when_known = function(_, on_done) waiting[#waiting + 1] = on_done end
    connection:receive("one", true)
    connection:receive("two", true)
    Worker.answer(worker.dispatch.events[1], {
      headers = DOCUMENT,
      body = '{"effects":[{"send":{"text":"before"}},{"subscribe":["a"]},{"send":{"text":"behind"}},'
        .. '{"user":"u"},{"send":{"text":"last"}}]}',
    })
    assert.are.equal(Encoder.frame("before", true), Worker.written(connection))
    assert.are.equal(1, #worker.dispatch.events, "the next message waits, too")
    waiting[1]()
    assert.are.equal(Encoder.frame("behind", true), Worker.written(connection))
    is_known = true
    waiting[2]()
    assert.are.equal(Encoder.frame("last", true), Worker.written(connection))
    assert.are.same({ 2, "u" }, { #worker.dispatch.events, connection.user })
    Worker.answer(worker.dispatch.events[2], {
      headers = { ["ws-subscribe"] = "b", ["content-type"] = "text/plain" },
      body = "known already",
    })
    assert.are.equal(Encoder.frame("known already", true), Worker.written(connection))
  end)

  it("waits for kept frames of Redis with what is behind, and then goes on with the next message", function()
    local follows = {}
    worker.feeds.subscribe = function(_, one, wanted, on_done)
      assert.are.equal(connection, one)
      follows[#follows + 1] = { wanted = wanted, on_done = on_done }
    end
    connection:receive("one", true)
    connection:receive("two", true)
    Worker.answer(worker.dispatch.events[1], {
      headers = { ["ws-subscribe"] = "a;last=1, b;after=x", ["content-type"] = "text/plain", ["ws-close"] = "4000" },
      body = "body",
    })
    assert.are.equal(Encoder.frame("body", true), Worker.written(connection))
    assert.are.same({ 1, "a" }, { #follows, follows[1].wanted.topic })
    follows[1].on_done(true, nil, "unreachable")
    local error = error_of(Worker.written(connection))
    assert.are.same({ 503, "what is kept cannot be read now: a" }, { error.statusCode, error.message })
    assert.are.same({ 2, "b", 1 }, { #follows, follows[2].wanted.topic, #worker.dispatch.events })
    follows[2].on_done(true)
    assert.are.equal(Encoder.close(4000, ""), Worker.written(connection))
    assert.are.equal(2, #worker.dispatch.events)
  end)

  it("that waits for other nodes lets the socket end, and the close event follows", function()
    local waiting
    worker.groups.is_known = function() return false end
    worker.groups.when_known = function(_, on_done) waiting = on_done end
    connection:receive("one", true)
    Worker.answer(worker.dispatch.events[1], {
      headers = { ["ws-subscribe"] = "b", ["content-type"] = "text/plain" },
      body = "never read",
    })
    connection:finish()
    assert.are.equal(1, #worker.dispatch.events)
    waiting()
    assert.are.equal("close", worker.dispatch.events[2].kind)
  end)

  it("goes on after an effect that cannot be applied", function()
    local written = apply {
      headers = DOCUMENT,
      body = '{"effects":[{"subscribe":["too many"]},{"send":{"text":"still"}}]}',
    }
    assert.matches("too many topics", written)
    assert.are.equal(Encoder.frame("still", true), written:sub(-7))
  end)

  it("takes state and user away with empty texts", function()
    apply { headers = { ["ws-state"] = "s", ["ws-user"] = "u" } }
    apply { headers = { ["ws-state"] = "", ["ws-user"] = "" } }
    assert.is_nil(connection.state)
    assert.is_nil(connection.user)
  end)

  it("changes nothing that others see of a socket that is not registered", function()
    worker.registry.by_id = {}
    apply { headers = { ["ws-state"] = "s", ["ws-user"] = "u", ["ws-subscribe"] = "a" } }
    assert.is_nil(connection.user)
    assert.is_nil(connection.topics)
    assert.is_nil(ngx.shared.sockets:get "id")
  end)
end)

describe("the answer to a close event", function()
  local worker
  local event = { kind = "close", id = "id/close", connection = { id = "id" } }

  before_each(function() worker = Worker.new() end)

  it("publishes, and does nothing else", function()
    Apply.publications(event, {
      status = 200,
      headers = DOCUMENT,
      body = '{"effects":[{"send":{"text":"x"}},{"publish":{"topic":"a","text":"left"}},{"subscribe":["b"]}]}',
    })
    assert.are.same({ { "a", "left", "id" } }, worker.push.published)
  end)

  it("that failed does nothing, and one that makes no sense is logged", function()
    Apply.publications(event, { failure = "lost" })
    assert.are.same({}, worker.lines)
    Apply.publications(event, { status = 200, headers = DOCUMENT, body = "?" })
    assert.matches("^id/close: the answer to close was not understood: ", worker.lines[1])
    assert.are.same({}, worker.push.published)
  end)
end)
