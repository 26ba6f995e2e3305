local Stub = require "support.ngx"
local Loop = require "support.event_loop"
local Dictionary = require "support.dictionary"

local CAPACITY = 400 -- bytes: two answers fit, or one and a part of a batch

describe("idempotency", function()
  local Idempotency, done

  before_each(function()
    Stub.now, done = 1000, 0
    Loop.reset()
    ngx.shared.answers = Dictionary.new(CAPACITY)
    rawset(ngx, "sha1_bin", function(text) return text end)
    rawset(ngx, "worker", { pid = function() return 1 end }) -- init(8) is never dead
    package.loaded["framegate.control.idempotency"] = nil
    Idempotency = require "framegate.control.idempotency"
  end)

  local function request(answer, parts)
    return {
      fingerprint = ("f"):rep(16),
      parts = parts or 0,
      act = function()
        done = done + 1
        return answer
      end,
    }
  end

  local COUNTS = { status = 200, body = '{"delivered":1,"dropped":0}', type = "application/json" }

  it("gives the first answer again for 60 s, and then begins anew", function()
    local first = Idempotency.once("key", request(COUNTS))
    Stub.now = Stub.now + 59
    assert.are.same(first, Idempotency.once("key", request { status = 500 }))
    assert.are.equal(1, done)
    Stub.now = Stub.now + 2
    Idempotency.once("key", request(COUNTS))
    assert.are.equal(2, done)
  end)

  it("refuses another request with the same key", function()
    Idempotency.once("key", request(COUNTS))
    local other = request(COUNTS)
    other.fingerprint = ("g"):rep(16)
    assert.are.equal(422, Idempotency.once("key", other).status)
    assert.are.equal(1, done)
  end)

  it("without room refuses, does nothing, and throws nothing out; later there is room", function()
    Idempotency.once("one", request(COUNTS))
    Idempotency.once("two", request(COUNTS))
    Idempotency.once("three", request(COUNTS))
    assert.are.equal(3, done)
    local refused = Idempotency.once("four", request(COUNTS))
    assert.are.equal(503, refused.status)
    assert.are.equal(3, done)
    assert.are.equal(200, Idempotency.once("one", request(COUNTS)).status)
    assert.are.equal(3, done, "the first is still kept")
    Stub.now = Stub.now + 61
    assert.are.equal(200, Idempotency.once("four", request(COUNTS)).status)
  end)

  it("keeps what is too long for its room without its body", function()
    local long = { status = 409, body = ("x"):rep(CAPACITY), type = "application/problem+json" }
    assert.are.equal(long, Idempotency.once("key", request(long)))
    local again = Idempotency.once("key", request(COUNTS))
    assert.are.same({ status = 409, body = "" }, again)
    assert.are.equal(1, done)
  end)

  it("of a batch keeps what was done, and reads again what was read", function()
    local gone = { status = 410, body = '{"status":410}', type = "application/problem+json" }
    local seen
    local batch = request(nil, 4)
    batch.act = function(kept)
      seen = kept
      return {
        status = 200,
        body = "[]",
        parts = { COUNTS, { status = 200, body = "read", is_read = true }, gone, COUNTS },
      }
    end
    Idempotency.once("key", batch)
    assert.is_nil(seen)
    Idempotency.once("key", batch)
    assert.are.same({ COUNTS, nil, gone, COUNTS }, { seen[1], seen[2], seen[3], seen[4] })
  end)

  it("waits for the first, and takes its place when that has failed", function()
    local answers = {}
    local slow = request(COUNTS)
    slow.act = function()
      ngx.sleep(1)
      error "a defect"
    end
    Loop.spawn(function() answers[1] = { pcall(Idempotency.once, "key", slow) } end)
    Loop.spawn(function() answers[2] = Idempotency.once("key", request(COUNTS)) end)
    Loop.run(0.5)
    assert.are.equal(0, done)
    Loop.run(5)
    assert.is_false(answers[1][1])
    assert.are.same(COUNTS, answers[2])
  end)

  it("does not wait for ever", function()
    local stuck = request(COUNTS)
    stuck.act = function() ngx.sleep(100) end
    local refused
    Loop.spawn(function() Idempotency.once("key", stuck) end)
    Loop.spawn(function() refused = Idempotency.once("key", request(COUNTS)) end)
    Loop.run(11)
    assert.are.equal(409, refused.status)
  end)
end)
