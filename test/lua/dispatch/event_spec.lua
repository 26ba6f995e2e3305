local Stub = require "support.ngx"
local cjson = require "cjson.safe"
local Event = require "framegate.dispatch.event"

-- 2026-11-20T10:00:00Z
local TEN_O_CLOCK = 1795168800

local Connection = {
  count_event = function(self) self.traffic.events = self.traffic.events + 1 end,
  set_batch_prefix = function(self, prefix) self.batch_prefix = prefix end,
}
Connection.__index = Connection

local function connection(changes)
  local facts = {
    id = "node-worker-secret",
    path = "/ws/chat/lobby?lang=en",
    handshake = "host: example.com\r\ncookie: a=1; b=2\r\n",
    traffic = { events = 0 },
    options = {},
  }
  for name, value in pairs(changes or {}) do
    facts[name] = value
  end
  return setmetatable(facts, Connection)
end

-- The headers of a request by name, and its body. Fails when it is not exactly one request.
local function parse(request)
  local head, body = request:match("^(.-\r\n)\r\n(.*)$")
  local line, rest = head:match("^([^\r\n]+)\r\n(.*)$")
  local headers = {}
  for name, value in rest:gmatch("([^:\r\n]+): ([^\r\n]*)\r\n") do
    assert.is_nil(headers[name], name .. " is there once")
    headers[name] = value
  end
  return line, headers, body
end

local function request_of(event) return table.concat(Event.to_request(event)) end

local function element_of(event)
  local pieces = { "before" }
  local count = Event.to_json(event, pieces, 1)
  assert.are.equal(#pieces, count)
  return table.concat(pieces, "", 2)
end

local function content_type_of(body, is_text, mode)
  local event = Event.message(connection { options = { text_mode = mode } }, body, is_text)
  return request_of(event):match("\r\ncontent%-type: ([^\r\n]+)\r\n")
end

before_each(function() Stub.now = TEN_O_CLOCK + 0.125 end)

-- The headers that every event has, and these.
local function with_headers(more)
  local headers = {
    host = "example.com",
    cookie = "a=1; b=2",
    ["accept-encoding"] = "identity",
    ["ce-specversion"] = "1.0",
    ["ce-source"] = "/framegate/node",
    ["ce-connectionid"] = "node-worker-secret",
    ["ce-time"] = "2026-11-20T10:00:00.125Z",
  }
  for name, value in pairs(more) do
    headers[name] = value
  end
  return headers
end

describe("an event", function()
  it("of opening", function()
    local event = Event.open(connection())
    local line, headers, body = parse(request_of(event))
    assert.are.equal("POST /ws/chat/lobby?lang=en HTTP/1.1", line)
    assert.are.same(
      with_headers {
        ["ce-type"] = "framegate.open",
        ["ce-id"] = "node-worker-secret/0",
        ["ce-eventnumber"] = "0",
        ["content-length"] = "0",
      },
      headers
    )
    assert.are.equal("", body)
    assert.are.equal("open", event.kind)
    assert.are.equal("node-worker-secret/0", event.id)
    assert.are.equal("", event.body)
  end)

  it("of a message: its body is the frame", function()
    local facts = connection { traffic = { events = 7 }, state = "%7B%22a%22:1%7D" }
    local body = "\0\r\n\r\nany \255 bytes"
    local event = Event.message(facts, body, false)
    local line, headers, sent = parse(request_of(event))
    assert.are.equal("POST /ws/chat/lobby?lang=en HTTP/1.1", line)
    assert.are.equal(body, sent)
    assert.are.same(
      with_headers {
        ["ce-type"] = "framegate.message",
        ["ce-id"] = "node-worker-secret/7",
        ["ce-eventnumber"] = "7",
        ["ce-state"] = "%7B%22a%22:1%7D",
        ["content-type"] = "application/octet-stream",
        ["content-length"] = tostring(#body),
      },
      headers
    )
    assert.are.equal(8, facts.traffic.events)
  end)

  it("of an alarm", function()
    local facts = connection { traffic = { events = 7 }, state = "s" }
    local line, headers, body = parse(request_of(Event.own(facts, "alarm")))
    assert.are.equal("POST /ws/chat/lobby?lang=en HTTP/1.1", line)
    assert.are.equal("", body)
    assert.are.same(
      with_headers {
        ["ce-type"] = "framegate.alarm",
        ["ce-id"] = "node-worker-secret/7",
        ["ce-eventnumber"] = "7",
        ["ce-state"] = "s",
        ["content-length"] = "0",
      },
      headers
    )
    assert.are.equal(8, facts.traffic.events)
  end)

  it("of a timer, which has a source and an id of its own, and no connection", function()
    local timer = { path = "/ws/tick", handshake = "host: framegate\r\n", source = "/framegate/a/timers", options = {} }
    local line, headers = parse(request_of(Event.timer(timer, (TEN_O_CLOCK - 10) * 1000)))
    assert.are.equal("POST /ws/tick HTTP/1.1", line)
    assert.are.same({
      host = "framegate",
      ["accept-encoding"] = "identity",
      ["ce-specversion"] = "1.0",
      ["ce-source"] = "/framegate/a/timers",
      ["ce-type"] = "framegate.timer",
      ["ce-id"] = "/ws/tick@2026-11-20T09:59:50.000Z",
      ["ce-time"] = "2026-11-20T09:59:50.000Z",
      ["content-length"] = "0",
    }, headers)
  end)

  it("of closing, whose id holds no number", function()
    local event = Event.close(
      connection { traffic = { events = 3 }, state = "s" },
      { code = 1001, reason = "going away", seconds = 1.2341 }
    )
    local _, headers, body = parse(request_of(event))
    assert.are.same(
      with_headers {
        ["ce-type"] = "framegate.close",
        ["ce-id"] = "node-worker-secret/close",
        ["ce-eventnumber"] = "3",
        ["ce-state"] = "s",
        ["ce-closecode"] = "1001",
        ["ce-closereason"] = "going%20away",
        ["ce-duration"] = "1234",
        ["content-length"] = "0",
      },
      headers
    )
    assert.are.equal("", body)
    assert.are.equal("node-worker-secret/close", event.id)
  end)

  it("of closing, told by who does not know the number, leaves it out", function()
    local facts = connection()
    facts.traffic = nil
    local event = Event.close(facts, { code = 1006, reason = "", seconds = 0 })
    local _, headers = parse(request_of(event))
    assert.is_nil(headers["ce-eventnumber"])
    assert.are.equal("", headers["ce-closereason"])
  end)

  it("of a socket of an earlier gateway has the source of that one, alone and in a batch", function()
    local facts = connection { id = "gone-worker-secret" }
    local event = Event.close(facts, { code = 1006, reason = "", seconds = 0 })
    local _, headers = parse(request_of(event))
    assert.are.equal("/framegate/gone", headers["ce-source"])
    assert.are.equal("/framegate/gone", cjson.decode(element_of(event)).headers["ce-source"])
  end)

  it("counts on, from 0", function()
    local facts = connection()
    local numbers = { Event.open(facts), Event.message(facts, "a", true), Event.message(facts, "b", true) }
    for i, event in ipairs(numbers) do
      assert.are.equal("node-worker-secret/" .. i - 1, event.id)
    end
  end)

  it("carries the state of the moment at which it was made", function()
    local facts = connection { state = "before" }
    local event = Event.message(facts, "a", true)
    facts.state = "after"
    assert.matches("ce%-state: before\r\n", request_of(event))
    facts.state = nil
    assert.is_nil(request_of(Event.message(facts, "a", true)):find("ce-state", 1, true))
  end)

  it("tells the time, whole seconds and year's ends too", function()
    for time, text in pairs {
      [0] = "1970-01-01T00:00:00.000Z",
      [TEN_O_CLOCK] = "2026-11-20T10:00:00.000Z",
      [1798761599.5] = "2026-12-31T23:59:59.500Z",
      [1798761600.25] = "2027-01-01T00:00:00.250Z",
    } do
      Stub.now = time
      assert.matches("ce%-time: " .. text:gsub("%p", "%%%0"), request_of(Event.open(connection())))
    end
  end)
end)

it("tells the time to the millisecond", function()
  local wrong = 0
  for milliseconds = 0, 999 do
    -- As ngx.now() makes it of whole seconds and milliseconds.
    Stub.now = TEN_O_CLOCK + milliseconds / 1000
    local told = request_of(Event.open(connection())):match("ce%-time: 2026%-11%-20T10:00:00%.(%d%d%d)Z\r\n")
    if told ~= ("%03d"):format(milliseconds) then
      wrong = wrong + 1
    end
  end
  assert.are.equal(0, wrong, "milliseconds of 1000 that are told wrong")
end)

describe("the content type of a message", function()
  it("is a hint by its first character that is not white space", function()
    for body, expected in pairs {
      ['{"a":1}'] = "application/json",
      ["[1]"] = "application/json",
      [" \t\r\n{"] = "application/json",
      ["{ not json"] = "application/json",
      ["hello"] = "text/plain; charset=utf-8",
      [""] = "text/plain; charset=utf-8",
      ["  "] = "text/plain; charset=utf-8",
      ['"text"'] = "text/plain; charset=utf-8",
      ["1"] = "text/plain; charset=utf-8",
      ["a{"] = "text/plain; charset=utf-8",
      ["\226\130\172{"] = "text/plain; charset=utf-8",
      ["\0{"] = "text/plain; charset=utf-8",
    } do
      assert.are.equal(expected, content_type_of(body, true), body)
    end
  end)

  it("is what the route asked for", function()
    for mode, expected in pairs {
      text = "text/plain; charset=utf-8",
      json = "application/json",
      form = "application/x-www-form-urlencoded",
    } do
      for _, body in ipairs { "hello", "{}", "a=1&b=2", "" } do
        assert.are.equal(expected, content_type_of(body, true, mode))
      end
    end
    assert.are.equal("application/json", content_type_of("{}", true, "whatever"))
  end)

  it("of a binary frame is always the same", function()
    for _, mode in ipairs { "text", "json", "form", "none" } do
      assert.are.equal("application/octet-stream", content_type_of("{}", false, mode))
    end
  end)

  it("is not told of other events", function()
    assert.is_nil(request_of(Event.open(connection())):find("content-type", 1, true))
    assert.is_nil(
      request_of(Event.close(connection(), { code = 1000, reason = "", seconds = 0 })):find("content-type", 1, true)
    )
  end)
end)

describe("an event in a batch", function()
  -- Says the same as the event alone does, header by header.
  local function check(event)
    local element, err = cjson.decode(element_of(event))
    assert.is_nil(err)
    local _, headers, body = parse(request_of(event))
    headers["content-length"] = nil
    assert.are.same(headers, element.headers)
    assert.are.equal(event.connection.path, element.path)
    local got = element.body_base64 and ngx.decode_base64(element.body_base64) or element.body
    assert.is_true(element.body == nil or element.body_base64 == nil)
    assert.are.equal(body, got)
    return element
  end

  it("is a JSON object with path, headers and body", function()
    assert.is_string(check(Event.open(connection())).body)
    assert.is_string(
      check(Event.close(connection { state = "s" }, { code = 4000, reason = 'a"b', seconds = 0.005 })).body
    )
    assert.is_string(check(Event.message(connection { state = "%22" }, "hello", true)).body)
  end)

  it("holds a text byte for byte, as a JSON string", function()
    local every = {}
    for code = 0, 0x7F do
      every[#every + 1] = string.char(code)
    end
    for _, body in ipairs {
      "",
      "plain",
      '{"a": [1, "\\u0041", "\\\\"], "a": 1.0}',
      '"',
      "\\",
      "</script>",
      "\r\n\t\b\f",
      "\226\128\168\226\128\169",
      "caf\195\169 \240\159\152\128",
      "\0",
      table.concat(every),
      '"},{"path":"/ws/other"',
    } do
      assert.are.equal(body, check(Event.message(connection(), body, true)).body)
      assert.is_nil(element_of(Event.message(connection(), body, true)):find("%c"), "control characters are escaped")
    end
  end)

  it("holds binary frames in base64", function()
    math.randomseed(4648)
    for length = 0, 20 do
      local bytes = {}
      for i = 1, length do
        bytes[i] = string.char(math.random(0, 255))
      end
      local body = table.concat(bytes)
      local element = check(Event.message(connection(), body, false))
      assert.is_nil(element.body)
      assert.are.equal(ngx.encode_base64(body), element.body_base64)
    end
  end)

  it("has headers with anything that a header may have in them", function()
    local facts =
      connection { handshake = 'host: a\r\ncookie: q="a, b"; c=\\d; e: f\r\nuser-agent: \t/\r\nx-empty: \r\n' }
    local element = check(Event.message(facts, "a", true))
    assert.are.equal('q="a, b"; c=\\d; e: f', element.headers.cookie)
    assert.are.equal("", element.headers["x-empty"])
  end)

  it("has Latin-1 of headers in UTF-8, so that it means the same as in the request", function()
    local all, expected = {}, {}
    for code = 0x80, 0xFF do
      all[#all + 1] = string.char(code)
      expected[#expected + 1] = string.char(0xC0 + math.floor(code / 64), 0x80 + code % 64)
    end
    local facts = connection { handshake = "host: a\r\ncookie: " .. table.concat(all) .. "\r\n" }
    local element = cjson.decode(element_of(Event.open(facts)))
    assert.are.equal(table.concat(expected), element.headers.cookie)
    assert.are.equal("a", element.headers.host)
  end)

  it("has Latin-1 of the path in UTF-8 too", function()
    local element = cjson.decode(element_of(Event.open(connection { path = '/ws/caf\233?a="\\' })))
    assert.are.equal('/ws/caf\195\169?a="\\', element.path)
  end)

  it("can stand beside others of its socket, each with its own headers", function()
    local facts = connection { state = "one" }
    local first = Event.message(facts, "a", true)
    facts.state = "two"
    local second = Event.message(facts, "b", true)
    local batch = cjson.decode("[" .. element_of(first) .. "," .. element_of(second) .. "," .. element_of(first) .. "]")
    assert.are.same(batch[1], batch[3])
    assert.are.same({ "one", "two" }, { batch[1].headers["ce-state"], batch[2].headers["ce-state"] })
    assert.are.same({ "0", "1" }, { batch[1].headers["ce-eventnumber"], batch[2].headers["ce-eventnumber"] })
    assert.are.same({ "a", "b" }, { batch[1].body, batch[2].body })
  end)
end)
