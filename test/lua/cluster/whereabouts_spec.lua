local Channels = require "framegate.cluster.channels"
local FakeRedis = require "support.fake_redis"
local Whereabouts = require "framegate.cluster.whereabouts"

describe("where sockets of the cluster are", function()
  local redis, link, results

  before_each(function()
    redis, results = FakeRedis.new(), nil
    link = {
      own = "node",
      link = redis,
      channels = Channels.new "c",
      roster = { all = function() return { { id = "farr" }, { id = "away" } } end },
    }
  end)

  local function keep(...) results = { ... } end

  it("is the node that has the record of a socket", function()
    Whereabouts.find(link, "id", keep)
    local sent = redis:take_one()
    assert.are.same(
      { link.channels:records "node", link.channels:records "farr", link.channels:records "away" },
      sent.keys
    )
    assert.are.same({ "id" }, sent.args)
    sent.callback(3)
    assert.are.same({ "away", false }, results)
    sent.callback(1)
    assert.are.same({ "node", false }, results)
  end)

  it("is nowhere when no node has it, and unknown while Redis is away", function()
    Whereabouts.find(link, "id", keep)
    local sent = redis:take_one()
    sent.callback(0)
    assert.are.same({ nil, false }, results)
    sent.callback(nil)
    assert.are.same({ nil, true }, results)
    redis.is_up, results = false, nil
    Whereabouts.find(link, "id", keep)
    assert.are.same({ nil, true }, results)
  end)

  it("is for a first handshake the node that claimed its nonce first, for two minutes", function()
    Whereabouts.claim(link, "nonce", keep)
    local sent = redis:take_one()
    assert.are.same({ { link.channels:nonce "nonce" }, { "node", 120000 } }, { sent.keys, sent.args })
    sent.callback "farr"
    assert.are.same({ "farr" }, results)
    redis.is_up, results = false, nil
    Whereabouts.claim(link, "nonce", keep)
    assert.are.same({}, results)
  end)
end)
