local Stub = require "support.ngx"
local cjson = require "cjson.safe"
local Config = require "framegate.config"
local Dialects = require "framegate.dispatch.dialects"
local Grip = require "framegate.dispatch.grip"
local GripState = require "framegate.dispatch.grip_state"
local Log = require "framegate.runtime.log"
local Percent = require "framegate.protocol.percent"
local WebSocketEvents = require "framegate.protocol.websocket_events"

local SETTINGS = { GRIP_KEY = "key", GRIP_ISS = "pushpin", MAX_MESSAGE_BYTES = 100 }
local TYPE = "application/websocket-events"

describe("GRIP", function()
  local connection

  before_each(function()
    Stub.now = 1000
    connection = { id = "id", path = "/ws/a", handshake = "host: h\r\n", options = { protocol = "grip" } }
    for name, value in pairs(SETTINGS) do
      rawset(Config, name, value)
    end
    stub(Log, "warn")
  end)

  after_each(function()
    for name in pairs(SETTINGS) do
      rawset(Config, name, nil)
    end
    Log.warn:revert()
  end)

  local function event(kind, changes)
    local facts = { kind = kind, id = "id/1", body = "", is_text = true, connection = connection }
    facts.state = connection.state
    for name, value in pairs(changes or {}) do
      facts[name] = value
    end
    return facts
  end

  local function body_of(asked)
    local pieces = Grip.request(asked)
    return pieces[#pieces]
  end

  local function answered(asked, body, headers, status)
    headers = headers or {}
    headers["content-type"] = headers["content-type"] or TYPE
    asked.offered = asked.offered or {}
    return Grip.answer(asked, { status = status or 200, headers = headers, body = body or "" })
  end

  -- The effects of an answer. The state is remembered, as a connection does.
  local function effects(asked, body, headers)
    local answer = answered(asked, body, headers)
    assert.is_nil(answer.failure, answer.error and answer.error.message)
    for _, effect in ipairs(answer.effects) do
      if effect.kind == "state" then
        connection.state = Percent.encode(effect.value)
      end
    end
    return answer.effects
  end

  local function control(fields)
    return WebSocketEvents.encode { { type = "TEXT", content = "c:" .. cjson.encode(fields) } }
  end

  local function open(headers, body)
    headers = headers or { ["sec-websocket-extensions"] = "grip" }
    return effects(event "open", "OPEN\r\n" .. (body or ""), headers)
  end

  local function kinds(list)
    local names = {}
    for i, effect in ipairs(list) do
      names[i] = effect.kind
    end
    return table.concat(names, " ")
  end

  local function state() return GripState.read(connection.state) end

  it("is chosen by a location, or else by HANDLER_PROTOCOL", function()
    assert.are.same({ "grip", nil }, { Dialects.name("grip", "framegate"), Dialects.name("framegate", "grip") })
    assert.are.same({ "grip", nil }, { Dialects.name("", "grip"), Dialects.name("", "framegate") })
    assert.are.equal(Grip, Dialects.of(connection))
    assert.are_not.equal(Grip, Dialects.of { options = {} })
  end)

  it("has a word for each event that Pushpin has, and none for others", function()
    assert.are.equal("OPEN\r\n", body_of(event "open"))
    assert.are.equal("TEXT 2\r\nhi\r\n", body_of(event("message", { body = "hi" })))
    assert.are.equal("BINARY 0\r\n\r\n", body_of(event("message", { is_text = false })))
    assert.are.equal("", body_of(event "alarm"))
    local ends = {
      ["DISCONNECT\r\n"] = { code = 1006, reason = "gone" },
      ["CLOSE\r\n"] = { code = 1005, reason = "" },
      ["CLOSE 2\r\n\3\233\r\n"] = { code = 1001, reason = "the gateway stops" },
      ["CLOSE 5\r\n\3\232bye\r\n"] = { code = 1000, reason = "bye", given_reason = "bye" },
    }
    for body, ended in pairs(ends) do
      assert.are.equal(body, body_of(event("close", { ended = ended })))
    end
    for _, kind in ipairs { "detach", "resume" } do
      assert.is_false(Grip.has_word(event(kind)))
    end
  end)

  it("writes a request with its id and signature", function()
    connection.state = Percent.encode '{"meta":{"user":"ann","b":"1"}}'
    local text = table.concat(Grip.request(event("message", { body = "hi" })))
    assert.matches("^POST /ws/a HTTP/1.1\r\nhost: h\r\naccept: application/websocket%-events\r\n", text)
    assert.matches("\r\nconnection%-id: id\r\ngrip%-sig: [%w_-]+%.[%w_-]+%.[%w_-]+\r\n", text)
    assert.is_nil(text:find("traceparent", 1, true))
    assert.matches("\r\nmeta%-b: 1\r\nmeta%-user: ann\r\ncontent%-length: 12\r\n\r\nTEXT 2\r\nhi\r\n$", text)
  end)

  it("writes the traceparent of its span in place of that of the handshake", function()
    local of_span, of_client =
      "00-" .. ("a"):rep(32) .. "-b7ad6b7169203331-01", "00-" .. ("b"):rep(32) .. "-b7ad6b7169203331-01"
    connection.handshake = "host: h\r\ntraceparent: " .. of_client .. "\r\n"
    local traced = { traceparent = of_span, trace_context = { lines = "host: h\r\n" } }
    local text = table.concat(Grip.request(event("message", traced)))
    assert.matches("\r\nhost: h\r\ntraceparent: " .. of_span .. "\r\naccept: ", text, 1, true)
    assert.is_nil(text:find(of_client, 1, true))
    answered(event("message", traced), "", {}, 500)
    assert.stub(Log.warn).was.called_with("id/1 trace " .. ("a"):rep(32), match._, match._)
  end)

  it("refuses a session that its handler wants to check", function()
    for _, value in ipairs { "60;check", "60 ; check" } do
      local answer = answered(event "open", "OPEN\r\n", { ["ws-session"] = value })
      assert.are.equal("malformed", answer.failure)
      assert.matches("ws-session cannot have ;check in GRIP", answer.error.message, 1, true)
    end
    for _, value in ipairs { "60", "60;notify" } do
      assert.is_nil(answered(event "open", "OPEN\r\n", { ["ws-session"] = value }).failure)
    end
  end)

  it("bounds how many events the handler leaves", function()
    local function leave(count)
      connection.grip = { rest = {} }
      for i = 1, count do
        connection.grip.rest[i] = { type = "TEXT", content = "x" }
      end
      local asked = event "alarm"
      body_of(asked)
      return answered(asked, "", { ["content-bytes-accepted"] = "0" }).failure
    end
    assert.is_nil(leave(2))
    assert.are.equal("malformed", leave(3))
  end)

  it("strips prefixes, and reads control messages, once the extension is agreed", function()
    local body = "TEXT 3\r\nm:a\r\nTEXT 1\r\nb\r\nBINARY 3\r\nm:c\r\n"
      .. control { type = "subscribe", channel = "news" }
    local list = open(nil, body)
    assert.are.equal("state send send subscribe filter", kinds(list))
    assert.are.same({ kind = "send", payload = "a", is_text = true }, list[2])
    assert.are.same({ kind = "subscribe", topics = { "news" } }, list[4])
    connection.state = nil
    assert.are.equal("send send send send", kinds(open({}, body)))
    for value, prefix in pairs {
      ['grip; message-prefix="x"'] = "x",
      ['a, grip;message-prefix="\\"\\\\"'] = '"\\',
      ['grip; message-prefix=""'] = "",
      ["grip, other; message-prefix=y"] = "m:",
      ["gripped"] = false,
    } do
      connection.state = nil
      open { ["sec-websocket-extensions"] = value }
      assert.are.equal(prefix, state().prefix or false, value)
    end
  end)

  it("keeps meta values, and forgets those that are empty", function()
    open { ["set-meta-user"] = "ann", ["Set-Meta-Color"] = "red" }
    assert.are.same({ user = "ann", color = "red" }, state().meta)
    assert.are.equal("state", kinds(effects(event "message", "", { ["set-meta-user"] = "" })))
    assert.are.same({ color = "red" }, state().meta)
    assert.are.equal("", kinds(effects(event "message", "", { ["set-meta-color"] = "red" })), "nothing has changed")
    local failed = answered(event "message", "", { ["set-meta-a"] = ("x"):rep(5000) })
    assert.matches("more than 4096 bytes$", failed.error.message)
  end)

  it("asks a silent socket's handler again after each answer, and not more often than every 20 s", function()
    local function seconds(list) return list[#list].kind == "alarm" and list[#list].seconds end
    assert.are.equal(20, seconds(open { ["keep-alive-interval"] = "1" }))
    assert.are.equal(20, seconds(effects(event "message", "TEXT\r\n")))
    assert.are.equal(60, seconds(effects(event "alarm", "", { ["keep-alive-interval"] = "60" })))
    assert.are.equal(0, seconds(effects(event "alarm", "", { ["keep-alive-interval"] = "never" })))
    assert.are.equal("", kinds(effects(event "alarm")))
  end)

  it("offers again what was not accepted", function()
    local first = event("message", { body = "[foo][hello" })
    body_of(first)
    local list = effects(first, "", { ["content-bytes-accepted"] = "5" })
    assert.are.same({ kind = "rest", events = { { type = "TEXT", content = "[hello" } } }, list[1])
    connection.grip = { rest = list[1].events }
    local second = event("message", { body = " world]" })
    assert.are.equal("TEXT 6\r\n[hello\r\nTEXT 7\r\n world]\r\n", body_of(second))
    assert.matches("\r\ncontent%-bytes%-replayed: 6\r\n", table.concat(Grip.request(second)))
    assert.are.same({ { kind = "rest" } }, effects(second))
    for _, count in ipairs { "14", "-1" } do
      assert.are.equal("malformed", answered(second, "", { ["content-bytes-accepted"] = count }).failure)
    end
    local large = event("message", { body = ("x"):rep(101) })
    body_of(large)
    assert.are.equal("malformed", answered(large, "", { ["content-bytes-accepted"] = "0" }).failure)
  end)

  it("ends sockets: with a code that may be sent, or without a close frame", function()
    for content, code in pairs { ["\0\0"] = 1000, ["\3\238"] = 1000, ["\3\243"] = 1011, ["\15\160"] = 4000 } do
      local list = effects(event "message", WebSocketEvents.encode { { type = "CLOSE", content = content } })
      assert.are.same({ { kind = "close", code = code, reason = "" } }, list)
    end
    assert.are.same({ { kind = "close", reason = "" } }, effects(event "message", "CLOSE\r\nTEXT 1\r\nx\r\n"))
    assert.are.equal("send drop", kinds(effects(event "message", "TEXT 1\r\nx\r\nDISCONNECT\r\nTEXT 1\r\ny\r\n")))
    assert.are.equal("drop", kinds(effects(event "message", "OPEN\r\n")))
    assert.are.equal("drop", kinds(answered(event "message", "", { ["content-type"] = "text/html" }).effects))
    assert.are.equal("drop", kinds(answered(event "message", "", {}, 500).effects))
  end)

  it("refuses a handshake with the answer of the handler, whatever its status", function()
    local answer = answered(event "open", "a page", { ["content-type"] = "text/html" })
    assert.are.same({ true, 200, "a page" }, { answer.is_refusal, answer.status, answer.body })
    assert.are.equal("malformed", answered(event "open", "TEXT 1\r\nx\r\n").failure)
    assert.are.equal("malformed", answered(event "open", "").failure)
  end)

  it("detaches with one CLOSE, and has no words after it", function()
    open(nil, control { type = "detach" })
    assert.is_false(Grip.has_word(event("message", { body = "hi" })))
    local last = event "alarm"
    assert.is_true(Grip.has_word(last))
    assert.are.equal("CLOSE\r\n", body_of(last))
    assert.are.equal(
      "CLOSE\r\n",
      body_of(event("close", { ended = { code = 1000, reason = "" } })),
      "if it ends before"
    )
    effects(last)
    for _, kind in ipairs { "alarm", "message", "close" } do
      assert.is_false(Grip.has_word(event(kind, { ended = { code = 1000, reason = "" } })))
    end
  end)

  it("passes over control messages that are wrong", function()
    open()
    for _, text in ipairs {
      "",
      "[]",
      "5",
      '{"type":5}',
      '{"type":"dance"}',
      '{"type":"subscribe"}',
      '{"type":"subscribe","channel":""}',
      '{"type":"subscribe","channel":"a","filters":"skip-self"}',
      '{"type":"subscribe","channel":"a","filters":["1","2","3","4","5","6"]}',
      '{"type":"set-meta","value":"a"}',
      '{"type":"keep-alive","content":5}',
      '{"type":"keep-alive","content":"a","timeout":-1}',
      '{"type":"keep-alive","content-bin":"!"}',
      '{"type":"keep-alive","content":"a","message-type":"dance"}',
      '{"type":"send-delayed","content":"' .. ("x"):rep(126) .. '","message-type":"ping"}',
      '{"type":"unsubscribe","channel":"a","x":"' .. ("x"):rep(16384) .. '"}',
    } do
      assert.are.equal(
        "",
        kinds(effects(event "message", WebSocketEvents.encode { { type = "TEXT", content = "c:" .. text } })),
        text
      )
    end
    local list =
      effects(event "message", control { type = "keep-alive", ["content-bin"] = "AP8=", ["message-type"] = "binary" })
    assert.are.same({ kind = "binary", payload = "\0\255" }, list[1].message)
    assert.are.same({ 55, false }, { list[1].seconds, list[1].is_interval })
  end)

  it("lets no text pass that is not UTF-8", function()
    assert.are.equal("malformed", answered(event "message", "TEXT 1\r\n\255\r\n").failure)
    assert.are.equal("send", kinds(effects(event "message", "BINARY 1\r\n\255\r\n")))
  end)

  it("passes all headers of a handshake on, but for those that would lie", function()
    local names = Grip.headers {
      cookie = "a",
      ["x-own"] = "b",
      ["sec-websocket-key"] = "c",
      host = "d",
      upgrade = "e",
      accept = "f",
      ["accept-language"] = "g",
      ["meta-user"] = "h",
      ["meta_user"] = "h",
      ["grip-sig"] = "i",
      ["connection-id"] = "j",
      ["x-forwarded-for"] = "k",
      ["content-bytes-replayed"] = "l",
      ["transfer-encoding "] = "m",
      ["transfer_encoding"] = "n",
      ["x\r\ny"] = "o",
      ["x-value"] = "p\r\nq: r",
      ["x-list"] = { "s", "t\1" },
    }
    assert.are.same({ "accept-language", "cookie", "sec-websocket-key", "x-own" }, names)
  end)
end)
