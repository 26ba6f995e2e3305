local Stub = require "support.ngx"
local Event = require "framegate.dispatch.event"
local Hmac = require "framegate.runtime.hmac"
local Http = require "framegate.dispatch.http"
local Signer = require "framegate.dispatch.signer"

local KEYS = { ("k"):rep(24), ("l"):rep(64) }
local SECRETS = { "whsec_" .. ngx.encode_base64(KEYS[1]), "whsec_" .. ngx.encode_base64(KEYS[2]) }
local NOW = 1795168800 -- 2026-11-20T10:00:00Z

local function connection(changes)
  local facts = {
    id = "node-worker",
    path = "/ws/chat?a=b.c",
    handshake = "host: example.com\r\ncookie: a=1\r\n",
    traffic = { events = 3 },
    options = {},
    count_event = function(self) self.traffic.events = self.traffic.events + 1 end,
  }
  for name, value in pairs(changes or {}) do
    facts[name] = value
  end
  return facts
end

local function signed(key, text)
  local hmac = Hmac.new(key)
  hmac:start()
  hmac:add(text)
  return "v1," .. ngx.encode_base64(hmac:finish())
end

local function headers_of(text)
  local headers, names = {}, {}
  for name, value in text:gmatch "([^:\r\n]+): ([^\r\n]*)\r\n" do
    headers[name], names[#names + 1] = value, name
  end
  return headers, names
end

-- What a receiver makes of a request: method and path, and a line for each header that counts.
local function context_of(request)
  local line, rest = request:match "^(%u+ %S+) HTTP/1.1\r\n(.-\r\n)\r\n"
  local headers, names = headers_of(rest)
  table.sort(names)
  local lines = { line }
  for _, name in ipairs(names) do
    if name:find "^ce%-" or name == "content-type" then
      lines[#lines + 1] = name .. ": " .. headers[name]
    end
  end
  return table.concat(lines, "\n"), headers
end

describe("a signer", function()
  before_each(function() Stub.now = NOW + 0.9 end)

  it("is none without secrets", function() assert.is_nil(Signer.new {}) end)

  it("signs body and context of every kind of event, with each secret", function()
    local signer = Signer.new(SECRETS)
    local rare = connection { state = "a%20b", user = "zo", handshake = "host: h\r\nce-transport: sse\r\n" }
    local events = {
      Event.open(connection()),
      Event.message(connection(), '{"a":1}', true),
      Event.message(rare, "\0\255", false),
      Event.own(rare, "alarm"),
      Event.close(rare, { code = 1006, reason = "", seconds = 1.5 }),
    }
    for _, event in ipairs(events) do
      local context, headers = context_of(table.concat(Http.request(event, signer)))
      assert.are.equal(event.id, headers["webhook-id"])
      assert.are.equal(tostring(NOW), headers["webhook-timestamp"])
      local message = event.id .. "." .. NOW .. "." .. event.body
      local wanted = signed(KEYS[1], message) .. " " .. signed(KEYS[2], message)
      assert.are.equal(wanted, headers["webhook-signature"])
      message = event.id .. "/context." .. NOW .. "." .. context
      wanted = signed(KEYS[1], message) .. " " .. signed(KEYS[2], message)
      assert.are.equal(wanted, headers["framegate-signature"], event.kind)
    end
  end)

  it("keeps dots out of the ids of timers", function()
    local timer = { path = "/ws/v1.0/tick", handshake = "host: framegate\r\n", options = {}, source = "/framegate" }
    local event = Event.timer(timer, NOW * 1000)
    local context, headers = context_of(table.concat(Http.request(event, Signer.new { SECRETS[1] })))
    assert.are.equal("/ws/v1%2E0/tick@2026-11-20T10:00:00%2E000Z", headers["webhook-id"])
    local message = headers["webhook-id"] .. "/context." .. NOW .. "." .. context
    assert.are.equal(signed(KEYS[1], message), headers["framegate-signature"])
  end)

  it("gives each batch an id of its own", function()
    local signer = Signer.new { SECRETS[1] }
    local first, second = headers_of(signer:batch "[]"), headers_of(signer:batch "[]")
    assert.are_not.equal(first["webhook-id"], second["webhook-id"])
    assert.matches("^batch_[%w_-]+_1$", first["webhook-id"])
    local start = first["webhook-id"] .. "." .. NOW .. "."
    assert.are.equal(signed(KEYS[1], start .. "[]"), first["webhook-signature"])
    local context = "POST /\ncontent-type: application/vnd.framegate.batch+json"
    start = first["webhook-id"] .. "/context." .. NOW .. "."
    assert.are.equal(signed(KEYS[1], start .. context), first["framegate-signature"])
  end)

  it("gives a time of its own to each attempt", function()
    local signer, event = Signer.new { SECRETS[1] }, Event.open(connection())
    local first = headers_of(signer:event(event))
    Stub.now = NOW + 10
    local second = headers_of(signer:event(event))
    assert.are.equal(first["webhook-id"], second["webhook-id"])
    assert.are_not.equal(first["webhook-timestamp"], second["webhook-timestamp"])
  end)
end)
