local Stub = require "support.ngx"
local cjson = require "cjson"
local Event = require "framegate.dispatch.event"
local Http = require "framegate.dispatch.http"
local Tracer = require "framegate.telemetry.tracer"

local TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

local function handshake(flag)
  local line = flag and "traceparent: 00-" .. TRACE .. "-" .. SPAN .. "-" .. flag .. "\r\n" or ""
  return "host: example.com\r\ncookie: a=1\r\n" .. line .. "x-traceparent: x\r\n"
end

local function connection(lines)
  return {
    id = "node-worker",
    path = "/ws/chat?a=b",
    handshake = lines,
    traffic = { events = 0 },
    options = {},
    count_event = function(self) self.traffic.events = self.traffic.events + 1 end,
    set_batch_prefix = function(self, prefix) self.batch_prefix = prefix end,
  }
end

describe("a tracer", function()
  local spans, tracer

  local function new(ratio)
    spans = {}
    tracer = Tracer.new { ratio = ratio, export = function(span) spans[#spans + 1] = cjson.decode(span:encode()) end }
  end

  local function begun(event)
    event.attempts = 1
    tracer:begin(event)
    return event
  end

  local OK = { status = 200, headers = {}, body = "" }

  before_each(function() new(1) end)

  it("replaces the traceparent of the handshake, in a request and in a batch", function()
    for _, lines in ipairs { handshake "01", handshake "00", handshake() } do
      local event = begun(Event.message(connection(lines), "x", true))
      local request = table.concat(Http.request(event))
      assert.matches("\r\ntraceparent: " .. event.traceparent:gsub("%-", "%%-") .. "\r\n", request)
      local _, count = request:gsub("\r\ntraceparent: ", "")
      assert.are.equal(1, count)
      assert.matches("\r\ncookie: a=1\r\n", request)
      assert.matches("\r\nx%-traceparent: x\r\n", request)
      local pieces = {}
      Event.to_json(event, pieces, 0)
      local text = table.concat(pieces)
      assert.are.equal(event.traceparent, cjson.decode(text).headers.traceparent)
      _, count = text:gsub('"traceparent"', "")
      assert.are.equal(1, count)
      assert.matches("^traceparent: ", ("traceparent: " .. event.traceparent):match "^%l+: 00%-%x+%-%x+%-%d%d$")
    end
  end)

  it("leaves everything as it was while there are no traces", function()
    local event = Event.message(connection(handshake "01"), "x", true)
    local _, count = table.concat(Http.request(event)):gsub("\r\ntraceparent: ", "")
    assert.are.equal(1, count)
  end)

  it("makes the open event a part of the trace of the handshake, and links the others to it", function()
    local socket = connection(handshake "01")
    for _, event in ipairs { Event.open(socket), Event.message(socket, "x", true), Event.own(socket, "alarm") } do
      tracer:ended(begun(event), OK)
    end
    local open, message, alarm = unpack(spans)
    assert.are.same({ TRACE, SPAN, nil }, { open.traceId, open.parentSpanId, open.links })
    for _, span in ipairs { message, alarm } do
      assert.are_not.equal(TRACE, span.traceId)
      assert.are.same({ { traceId = TRACE, spanId = SPAN } }, span.links)
      assert.is_nil(span.parentSpanId)
    end
  end)

  it("takes the traceparent of the handshake with which a client has come back", function()
    local socket = connection(handshake())
    local event = Event.own(socket, "resume")
    event.handshake = handshake "01"
    tracer:ended(begun(event), OK)
    assert.are.equal(SPAN, spans[1].parentSpanId)
    tracer:ended(begun(Event.message(socket, "x", true)), OK)
    assert.is_nil(spans[2].links)
  end)

  it("follows the decision of the parent", function()
    tracer:ended(begun(Event.open(connection(handshake "00"))), OK)
    assert.are.same({}, spans)
    new(0)
    local event = begun(Event.open(connection(handshake "01")))
    tracer:ended(event, OK)
    assert.are.equal(1, #spans)
    assert.matches("%-01$", event.traceparent)
  end)

  it("samples a share of what has no parent", function()
    new(0.25)
    local socket = connection(handshake())
    for _ = 1, 2000 do
      tracer:ended(begun(Event.message(socket, "x", true)), OK)
    end
    assert.is_true(#spans > 350 and #spans < 650, #spans)
  end)

  it("notes how long an event took, and why it has failed", function()
    local event = begun(Event.message(connection(handshake()), "hello", true))
    event.since, event.attempts, Stub.now = 10, 3, 12.5
    tracer:ended(event, { failure = "lost", status = 502, error = { message = 'a "\255"' }, body = "", headers = {} })
    local span = spans[1]
    -- A number of 64 bits is more exact than Lua's.
    local whole, rest = span.endTimeUnixNano:match "^(%d+)(%d%d%d%d%d%d%d%d%d)$"
    local first, more = span.startTimeUnixNano:match "^(%d+)(%d%d%d%d%d%d%d%d%d)$"
    assert.are.equal(2.5e9, (whole - first) * 1e9 + (rest - more))
    assert.are.same({ code = 2, message = 'a "\239\191\189"' }, span.status)
    local attributes = {}
    for _, attribute in ipairs(span.attributes) do
      attributes[attribute.key] = attribute.value.stringValue or attribute.value.intValue
    end
    assert.are.same({
      ["cloudevents.event_id"] = "node-worker/0",
      ["framegate.connection.id"] = "node-worker",
      ["url.path"] = "/ws/chat",
      ["http.request.method"] = "POST",
      ["http.request.body.size"] = "5",
      ["http.request.resend_count"] = "2",
      ["error.type"] = "lost",
    }, attributes)
  end)

  it("makes no span of a push whose parent is not sampled", function()
    local push = { kind = "topic", target = "news", bytes = 5 }
    assert.is_nil(tracer:begin_push(push, "00-" .. TRACE .. "-" .. SPAN .. "-00"))
    tracer:end_push(tracer:begin_push(push, "00-" .. TRACE .. "-" .. SPAN .. "-01"), { delivered = 2, dropped = 1 })
    tracer:end_push(tracer:begin_push(push, "nonsense"), nil, "timeout")
    assert.are.same({ TRACE, SPAN, "push topic" }, { spans[1].traceId, spans[1].parentSpanId, spans[1].name })
    assert.are.same({ nil, 2 }, { spans[2].parentSpanId, spans[2].status.code })
  end)
end)
