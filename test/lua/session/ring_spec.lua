require "support.worker"
local Config = require "framegate.config"
local Ring = require "framegate.session.ring"

describe("a ring", function()
  local ring

  before_each(function()
    Config.SESSION_BYTES = 10
    ring = Ring.new()
  end)

  local function add(...)
    for _, frame in ipairs { ... } do
      ring:add(frame)
    end
  end

  it("keeps what was sent until the client has it", function()
    add("a", "bb", "c")
    assert.are.same({ "a", "bb", "c" }, ring:frames())
    assert.are.equal(4, ring.bytes)
    ring:acknowledge(2)
    assert.are.same({ "c" }, ring:frames())
    assert.are.equal(1, ring.bytes)
    ring:acknowledge(1)
    assert.are.equal(2, ring.base)
    ring:acknowledge(99)
    assert.are.same({ 3, 3, 0 }, { ring.base, ring.top, ring.bytes })
    assert.is_nil(next(ring:frames()))
  end)

  it("drops the oldest when it is full, down to nothing for one that is too large", function()
    add(("a"):rep(6), ("b"):rep(4))
    assert.are.equal(0, ring.base)
    add "c"
    assert.are.same({ "bbbb", "c" }, ring:frames())
    add(("d"):rep(11))
    assert.are.same({ 4, 4, 0 }, { ring.base, ring.top, ring.bytes })
    assert.is_true(ring:covers(4))
  end)

  it("covers a client that lacks nothing but what it holds", function()
    add(("a"):rep(6), ("b"):rep(6), "c")
    local covered = {}
    for number = 0, 4 do
      covered[number] = ring:covers(number)
    end
    assert.are.same({ [0] = false, true, true, true, false }, covered)
    assert.are.equal("bbbbbbc", ring:after(1))
    assert.are.equal("c", ring:after(2))
    assert.are.equal("", ring:after(3))
  end)

  it("asks with a ping, one at a time, and only its own pong acknowledges", function()
    assert.is_false(ring:is_unasked())
    add("a", "b")
    assert.is_true(ring:is_unasked())
    assert.are.equal("\137\0012", ring:ping())
    assert.is_false(ring:is_unasked())
    add "c"
    for _, payload in ipairs { "", "x", "3", "-1", "2.5", "0x2", "1e0" } do
      ring:pong(payload)
      assert.are.equal(0, ring.base)
    end
    ring:pong "1"
    assert.are.equal(1, ring.confirmed)
    assert.is_false(ring:is_unasked())
    ring:pong "2"
    assert.are.same({ "b", "c" }, ring:frames())
    assert.are.equal(2, ring.confirmed)
    assert.is_true(ring:is_unasked())
    ring:pong "2"
    assert.are.same({ "b", "c" }, ring:frames())
  end)

  it("holds what a pong confirms until the next one: the client may have counted before it", function()
    add("a", "b")
    ring:ping()
    ring:pong "2"
    assert.is_true(ring:covers(0))
    assert.is_false(ring:is_unasked())
    assert.are.same({ 2, 0 }, { ring.bytes, ring:unconfirmed() })
    add "c"
    ring:ping()
    ring:pong "3"
    assert.are.same({ "c" }, ring:frames())
    assert.is_false(ring:covers(1))
    assert.are.same({ 1, 0 }, { ring.bytes, ring:unconfirmed() })
    ring:acknowledge(3)
    assert.are.same({ 0, 0 }, { ring.bytes, ring:unconfirmed() })
  end)

  it("does not believe a pong that asked for less than was sent behind it", function()
    add("a", "b", "c")
    ring:acknowledge(1)
    assert.are.equal("\137\0011", ring:ping(1))
    ring:pong "1"
    assert.are.same({ "b", "c" }, ring:frames())
    assert.is_true(ring:is_unasked())
  end)

  it("wants a ping after 64 KiB, and not while one is under way", function()
    Config.SESSION_BYTES = 1000000
    add(("x"):rep(65535))
    assert.is_false(ring:is_ping_due())
    add "x"
    assert.is_true(ring:is_ping_due())
    ring:ping()
    add(("x"):rep(70000))
    assert.is_false(ring:is_ping_due())
    ring:pong "2"
    assert.is_true(ring:is_ping_due())
    ring:ping()
    ring:forget_ping()
    assert.is_true(ring:is_unasked())
    assert.is_false(ring:is_ping_due())
    ring:pong "3"
    assert.are.equal(2, ring.confirmed)
  end)

  it("goes on in another worker", function()
    add("a", "b", "c")
    ring:acknowledge(1)
    local other = Ring.restore(ring.base, ring:frames())
    assert.are.same({ 1, 3, 2 }, { other.base, other.top, other.bytes })
    assert.are.equal("bc", other:after(1))
    assert.is_false(other:is_ping_due())
    local empty = Ring.restore(7, {})
    assert.is_true(empty:covers(7))
  end)
end)
