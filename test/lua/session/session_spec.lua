local Worker = require "support.worker"
local Places = require "framegate.session.places"
local Session = require "framegate.session.session"
local cjson = require "cjson.safe"

describe("a session", function()
  local session

  before_each(function()
    Worker.new()
    session = Session.new("id", "nonce", { keep = 60 })
  end)

  after_each(function() ngx.shared.sessions.capacity = math.huge end)

  -- Keys under which the session is found.
  local function known(...)
    local keys = {}
    for _, key in ipairs { ... } do
      keys[#keys + 1] = Places.of_key(key) == "id" and key or nil
    end
    return keys
  end

  it("is found by the nonce until its client has shown that it has the token", function()
    local token = session.token
    assert.are.equal(32, #token)
    assert.are.same({ "nonce", token }, known("nonce", token))
    assert.is_truthy(session.former)
    session:confirm()
    session:confirm()
    assert.are.same({ token }, known("nonce", token))
    assert.is_nil(session.former)
  end)

  it("gets another token with each transport; the one before is good until then", function()
    session:confirm()
    local first = session.token
    assert.is_true(session:renew("id", first))
    local second = session.token
    assert.are_not.equal(first, second)
    assert.are.same({ first, second }, known(first, second))
    session:renew("id", first) -- its 101 was cut
    local third = session.token
    assert.are.same({ first, third }, known(first, second, third))
    session:renew("id", third)
    assert.are.same({ third, session.token }, known(first, second, third, session.token))
  end)

  it("is found by nothing when it has ended", function()
    session:finish()
    assert.are.same({}, ngx.shared.sessions.values)
  end)

  it("has no nonce that belongs to another one", function()
    local other = Session.new("other", nil, { keep = 60 })
    assert.is_nil(other.former)
    other:confirm()
    assert.are.same({ "nonce" }, known "nonce")
  end)

  it("is none, and its token is as before, when there is no room", function()
    local token = session.token
    ngx.shared.sessions.capacity = 0
    assert.is_nil(Session.new("other", "other nonce", { keep = 60 }))
    assert.is_false(session:renew("id", token))
    assert.are.same({ token }, known(token))
    assert.are.equal(token, session.token)
  end)

  it("begins a transport with its frame, a ping for what the client has, and what it has not", function()
    for _, frame in ipairs { "\129\1a", "\129\1b", "\129\1c" } do
      session.ring:add(frame)
    end
    session:count_received(1)
    local bytes = session:first_frames("nonce", 1, true)
    local length = bytes:byte(2)
    assert.are.same({
      session = session.token,
      ["for"] = "nonce",
      resumed = true,
      received = 1,
      keep = 60,
    }, cjson.decode(bytes:sub(3, 2 + length)))
    assert.are.equal("\137\0011\129\1b\129\1c", bytes:sub(3 + length))
    assert.is_false(session:is_report_due())
  end)

  it("reports what has arrived after 64 KiB, and when it is asked to", function()
    assert.is_false(session:count_received(65535))
    assert.is_true(session:is_report_due())
    assert.is_true(session:count_received(1))
    assert.are.equal('\129\15\0{"received":2}', session:report())
    assert.is_false(session:is_report_due())
    assert.is_false(session:count_received(65535))
  end)

  it("is known for longer than it is kept, from the moment its client left", function()
    local Stub = require "support.ngx"
    Stub.now = 1000 + 2400
    session:set_detached(Stub.now)
    assert.are.equal(3400, session.detached_at)
    Stub.now = Stub.now + 60
    assert.are.same({ "nonce", session.token }, known("nonce", session.token))
    session:set_attached()
    assert.is_nil(session.detached_at)
  end)

  it("goes on in another worker", function()
    session.ring:add "\129\1a"
    session:count_received(5)
    session:set_attached(true)
    local facts = cjson.decode(cjson.encode(session:facts()))
    local other = Session.restore("id", facts, session.ring:frames())
    assert.are.same(
      { session.token, "nonce", 60, 1, 1 },
      { other.token, other.former, other.keep, other.received, other.ring.top }
    )
    assert.is_true(other:is_report_due())
    assert.is_true(other.is_stream)
  end)
end)
