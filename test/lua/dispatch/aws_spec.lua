require "support.ngx"
local Aws = require "framegate.dispatch.aws"
local AwsRoutes = require "framegate.dispatch.aws_routes"
local Config = require "framegate.config"
local Log = require "framegate.runtime.log"
local TraceContext = require "framegate.telemetry.trace_context"
local cjson = require "cjson.safe"

Config.HANDLER_AWS_ROUTES, Config.HANDLER_AWS_ROUTE_SELECTION =
  { { key = "$default", name = "All" } }, "$request.body.a"
Config.HANDLER_AWS_ROUTE_RESPONSE, Config.MAX_ANSWER_BYTES = true, 1000

local function event(kind, changes)
  local made = {
    kind = kind,
    id = "id/1",
    body = "",
    is_text = true,
    connection = { id = "id", path = "/ws/a", handshake = "host: h\r\nx-forwarded-for: 10.0.0.1\r\n", opened = 1.5 },
  }
  for name, value in pairs(changes or {}) do
    made[name] = value
  end
  return made
end

local function answer(kind, returned, changes)
  local response = { status = 200, headers = {}, body = cjson.encode(returned) }
  for name, value in pairs(changes or {}) do
    response[name] = value
  end
  return Aws.answer(event(kind), response)
end

describe("the dialect of AWS", function()
  local limited = Log.limited
  setup(function()
    Log.limited = function() end
  end)
  teardown(function() Log.limited = limited end)

  it("invokes the function of a route", function()
    local request = table.concat(Aws.request(event("message", { body = "hello" })))
    local path, body = request:match "^POST (%S+) HTTP/1.1\r\n.*\r\n\r\n(.*)$"
    assert.are.equal("/2015-03-31/functions/All/invocations", path)
    assert.matches("\r\ncontent%-length: " .. #body .. "\r\n", request)
    local context = cjson.decode(body).requestContext
    assert.are.equal(
      "ws h 10.0.0.1 1500",
      ("%s %s %s %d"):format(context.stage, context.domainName, context.identity.sourceIp, context.connectedAt)
    )
  end)

  it("has the traceparent of an event's span, in place of that of the handshake", function()
    local of_handshake, own = "00-" .. ("a"):rep(32) .. "-" .. ("b"):rep(16) .. "-01", "00-own"
    local handshake = "host: h\r\ntraceparent: " .. of_handshake .. "\r\nuser-agent: u\r\n"
    for kind, expected in pairs { open = own, message = false, close = own } do
      local made = event(kind, { traceparent = own, ended = { code = 1000, reason = "" } })
      made.connection.handshake, made.trace_context = handshake, TraceContext.of(handshake)
      local request = table.concat(Aws.request(made))
      local document = cjson.decode(request:match "\r\n\r\n(.*)$")
      assert.matches("\r\ntraceparent: 00%-own\r\n", request)
      assert.are.equal(expected, (document.headers or {}).Traceparent or false)
      assert.are.equal(expected and "u" or nil, (document.headers or {})["User-Agent"])
    end
  end)

  it("has no word for events of sessions and alarms", function()
    for _, kind in ipairs { "alarm", "detach", "resume" } do
      assert.is_false(Aws.has_word(event(kind)))
    end
  end)

  it("is JSON whatever a stranger sends", function()
    local strange = { id = "id", path = "/ws/\255?%ff=%fe", handshake = "host: h\r\nuser-agent: \255\r\n", opened = 1 }
    for _, kind in ipairs { "open", "message" } do
      local request = Aws.request(event(kind, { connection = strange }))
      local document = assert(cjson.decode(request[#request]))
      assert.are.equal("\239\191\189", document.requestContext.identity.userAgent)
    end
  end)

  it("lets an event come again if its handler is leaving", function()
    local closing = { status = 503, headers = { ["retry-after"] = "0" } }
    for _, kind in ipairs { "open", "message", "close" } do
      assert.are.equal("closing", answer(kind, {}, closing).failure)
    end
  end)

  it("ignores what $disconnect returns, unless it fails", function()
    assert.is_nil(answer("close", { body = {} }).failure)
    assert.are.equal("malformed", answer("close", { errorMessage = "x" }).failure)
    assert.are.equal("malformed", answer("close", {}, { status = 500 }).failure)
  end)

  it("knows a failure by AWS' header as well", function()
    local failed = { headers = { ["x-amz-function-error"] = "Unhandled" } }
    local frame = answer("message", { statusCode = 200 }, failed)
    assert.is_nil(frame.failure)
    assert.matches("Internal server error", frame.effects[1].payload)
    local refused = answer("open", { statusCode = 200 }, failed)
    assert.are.same({ true, 502 }, { refused.is_refusal, refused.status })
  end)

  it("owes $disconnect to a function that has accepted in an answer that cannot be used, or may have", function()
    local function owed(...) return answer("open", ...).is_owed == true end
    assert.is_true(owed { statusCode = 200, body = {} })
    assert.is_true(owed({ statusCode = 200, body = ("x"):rep(2000) }))
    assert.is_false(owed { statusCode = 401, body = {} })
    assert.is_false(owed { body = "x" })
    assert.is_false(owed { errorMessage = "x" })
    assert.is_false(owed({}, { status = 500 }))
  end)

  it("leaves out headers that are null, as functions in Python return them", function()
    local null = cjson.null
    local headers = { ["Sec-WebSocket-Protocol"] = null, ["Set-Cookie"] = null, A = 1, ["ws-close"] = "4000" }
    local opened = answer("message", { statusCode = 200, headers = headers })
    assert.is_nil(opened.failure)
    local refused = answer("open", { statusCode = 401, headers = headers, multiValueHeaders = { B = { "b", null } } })
    assert.are.same({ a = "1", b = { "b" } }, refused.headers)
  end)

  it("keeps of a handshake what a client that comes back is compared by, and does not show it", function()
    local lines = "host: h\r\ncookie: c=1\r\norigin: o\r\nauthorization: a\r\nx-much: y\r\n"
    local AwsEvent = require "framegate.dispatch.aws_event"
    assert.are.equal("host: h\r\ncookie: c=1\r\norigin: o\r\nauthorization: a\r\n", AwsEvent.kept(lines))
    local made = event("close", { ended = { code = 1000, reason = "" } })
    made.connection.handshake = lines
    assert.not_matches("c=1", table.concat(Aws.request(made)))
  end)

  it("sends text as binary if it is no UTF-8", function()
    local sent = answer("message", { statusCode = "200", body = "\255" }).effects[1]
    assert.are.same({ kind = "send", payload = "\255", is_text = false }, sent)
  end)
end)

describe("a route", function()
  local routes = AwsRoutes.new {
    HANDLER_AWS_ROUTES = { { key = "a" }, { key = "true" }, { key = "b", name = "B" } },
    HANDLER_AWS_ROUTE_SELECTION = "$request.body.do.what",
  }

  it("is found by a member of the message", function()
    for body, key in pairs {
      ['{"do":{"what":"a"}}'] = "a",
      ['{"do":{"what":true}}'] = "true",
      ['{"do":{"what":"c"}}'] = "$default",
      ['{"do":{"what":"$connect"}}'] = "$default",
      ['{"do":{"what":{}}}'] = "$default",
      ['{"what":"a"}'] = "$default",
      ['{"do":{"what":"a"}'] = "$default",
    } do
      assert.are.equal(key, routes:of_message(body, true), body)
    end
    assert.are.equal("$default", routes:of_message('{"do":{"what":"a"}}', false))
  end)

  it("has a function", function()
    assert.are.equal("/2015-03-31/functions/B/invocations", routes:path "b")
    assert.are.equal("/2015-03-31/functions/function/invocations", routes:path "a")
  end)
end)
