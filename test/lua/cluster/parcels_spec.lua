local FakeRedis = require "support.fake_redis"
local Parcels = require "framegate.cluster.parcels"

local PIECE = 262144

describe("parcels in Redis", function()
  local redis, link, result

  before_each(function()
    redis, result = FakeRedis.new(), "none"
    link = { link = redis, own = "node", channels = require("framegate.cluster.channels").new "c" }
  end)

  local function keep(value) result = value end

  local function put(parcel)
    Parcels.put(link, { id = "id", name = "name" }, parcel, keep)
    return redis:take()
  end

  local function take(count)
    Parcels.take(link, { id = "id", text = "record", from = "farrworker", parcel = "name", count = count }, keep)
    return redis:take()
  end

  it("are stored for a minute, and their count is known when Redis has all pieces", function()
    local sent = put(("x"):rep(PIECE) .. "\0\255")
    assert.are.same({
      { "SET", "c:parcel:name:1", ("x"):rep(PIECE), "PX", 60000 },
      { "SET", "c:parcel:name:2", "\0\255", "PX", 60000 },
      { "SET", "c:parcel:id:place", "node name", "PX", 60000 },
    }, { { unpack(sent[1], 1, 5) }, { unpack(sent[2], 1, 5) }, { unpack(sent[3], 1, 5) } })
    sent[1].callback "OK"
    sent[2].callback "OK"
    assert.are.equal("none", result)
    sent[3].callback "OK"
    assert.are.equal(2, result)
  end)

  it("have no piece more than they need", function()
    assert.are.equal(2, #put "x")
    assert.are.equal(2, #put(("x"):rep(PIECE)))
    assert.are.equal(4, #put(("x"):rep(2 * PIECE + 1)))
  end)

  it("are not stored when a piece is refused", function()
    local sent = put(("x"):rep(PIECE + 1))
    sent[1].callback(nil, "OOM command not allowed")
    sent[2].callback "OK"
    sent[3].callback "OK"
    assert.is_nil(result)
  end)

  it("are not stored while Redis is away", function()
    redis.is_up = false
    put(("x"):rep(3 * PIECE))
    assert.is_nil(result)
  end)

  it("are put together again, and removed by the same script", function()
    local sent = take(2)[1]
    assert.are.equal("c:parcel:id:place", sent.keys[1])
    assert.are.same({ "c:parcel:name:1", "c:parcel:name:2" }, { unpack(sent.keys, 4) })
    assert.matches("MGET.*DEL", sent.script)
    sent.callback { "a\0", "\255b" }
    assert.are.equal("a\0\255b", result)
  end)

  it("are nothing when a piece is missing, or Redis does not answer", function()
    local cjson = require "cjson.safe"
    for _, reply in ipairs { { "a", cjson.null }, { "a", false }, "error", false } do
      take(2)[1].callback(reply or nil)
      assert.is_nil(result)
      result = "none"
    end
    redis.is_up = false
    take(1)
    assert.is_nil(result)
  end)
end)
