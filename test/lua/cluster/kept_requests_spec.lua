-- Requests that store frames of kept topics in Redis, and that read them, over a link that a spec answers.

local Stub = require "support.ngx"
local Channels = require "framegate.cluster.channels"
local Dictionary = require "support.dictionary"
local FakeRedis = require "support.fake_redis"
local Message = require "framegate.cluster.message"
local NodeRequests = require "framegate.cluster.node_requests"
local Roster = require "framegate.cluster.roster"
local cjson = require "cjson.safe"

describe("a request", function()
  local redis, roster, requests, outcomes

  before_each(function()
    Stub.now, outcomes = 0, {}
    redis = FakeRedis.new()
    roster = Roster.new { own = "own0", now = function() return Stub.now end, dict = Dictionary.new() }
    roster:hear("aaaa", {})
    roster:hear("bbbb", {})
    requests = NodeRequests.new {
      own = "own0",
      link = redis,
      roster = roster,
      channels = Channels.new "c",
      now = function() return Stub.now end,
      max_bytes = 1e6,
      is_ready = function() return true end,
      is_away = function() return false end,
    }
  end)

  local function send(request)
    request.op, request.args, request.seconds, request.waits = "publish", {}, 2, true
    requests:send(request, "hi", function(outcome) outcomes[request.id] = outcome end)
  end

  -- Redis has stored the frame, and published it to so many links.
  local function stored(command, offset, ...) command.callback { "e", offset, ... } end

  local function answer(from, id) requests:answered(from, { id = id, results = { { from = from } } }) end

  local function bounds() return { topic = "t", frames = 5, ms = 60000 } end

  local function froms(outcome)
    local list = {}
    for i, result in ipairs(outcome.results) do
      list[i] = result.from
    end
    return table.concat(list, " ")
  end

  it("with a frame is stored, and waits for this node, too, when it has sockets for it", function()
    local kept = { bounds = bounds(), frame = { is_text = true, except = "x", ttl = 15000 } }
    send { id = "1", group = "topic:t", kept = kept }
    local command = redis:take_one()
    assert.are.same({ "c:facts:t", "c:stream:t", "c:kept:1" }, command.keys)
    local args = command.args
    assert.are.same({ "r", 5, 60000, 120000 }, { args[1], args[3], args[4], args[5] })
    assert.are.same({ "t", "x", "", 15000, "c:topic:t" }, { args[6], args[7], args[8], args[9], args[11] })
    assert.are.same({ "hi", "c:node:own0", "c:node:aaaa", "c:node:bbbb" }, { args[13], args[14], args[15], args[16] })
    requests:came_back "1"
    stored(command, 7, 2, 1, 1, 1)
    answer("aaaa", "1")
    assert.is_nil(outcomes["1"])
    answer("own0", "1")
    assert.are.equal("aaaa own0", froms(outcomes["1"]))
    assert.are.same({ epoch = "e", offset = 7 }, outcomes["1"].place)
  end)

  it("with a frame is repeated with its place, and stored again over a new link", function()
    send { id = "1", group = "topic:t", kept = { bounds = bounds(), frame = { is_text = true, ttl = 15000 } } }
    stored(redis:take_one(), 7, 1, 1, 1, 1)
    Stub.now = 0.6
    requests:look()
    local head, payload = Message.decode(redis:take()[1][3])
    assert.are.same({ { epoch = "e", offset = 7 }, "hi" }, { head.place, payload })
    requests:resume()
    local command = redis:take_one()
    assert.is_nil(cjson.decode(command.args[12]).place)
    stored(command, 1, 0, 1, 1, 1)
    assert.are.equal(1, outcomes["1"].place.offset)
  end)

  it("with a frame is incomplete when this node did not answer", function()
    send { id = "1", kept = { bounds = bounds(), frame = { is_text = false, ttl = 1 } } }
    requests:came_back "1"
    roster:remove "aaaa"
    roster:remove "bbbb"
    stored(redis:take_one(), 1, 1, 1)
    Stub.now = 2.1
    requests:look()
    assert.is_true(outcomes["1"].is_incomplete)
  end)

  it("that reads ends with the reply of Redis, and asks no node", function()
    local wanted = { mode = "after", from = 3, epoch = "e", max_bytes = 1000, before = 9 }
    send { id = "1", stream = { bounds = bounds(), wanted = wanted } }
    local command = redis:take_one()
    assert.are.same({ "c:facts:t", "c:stream:t" }, command.keys)
    assert.are.same({ "after", 3, "e", 1000, 9 }, { unpack(command.args, 6, 10) })
    command.callback { "e", 1, 5, 2, { { 4, 1700000000500, "t", "", "k", "a" }, { 5, 0, "b", "x", "", "b" } } }
    assert.are.same({
      epoch = "e",
      base = 1,
      top = 5,
      has_more = true,
      frames = {
        { offset = 4, time = 1700000000.5, is_text = true, replace = "k", payload = "a" },
        { offset = 5, time = 0, is_text = false, except = "x", payload = "b" },
      },
    }, outcomes["1"].stream)
  end)

  it("that reads has no frames when not all can be given, and no reply while Redis is away", function()
    for id, reply in pairs { ["1"] = { "e", 1, 5, 0, {} }, ["2"] = false } do
      send { id = id, stream = { bounds = bounds(), wanted = { mode = "last", from = 1, max_bytes = 1 } } }
      redis:take_one().callback(reply or nil, not reply and "lost" or nil)
    end
    Stub.now = 2.1
    requests:look()
    assert.are.same({ 5, nil }, { outcomes["1"].stream.top, outcomes["1"].stream.frames })
    assert.is_true(outcomes["2"].is_away)
    assert.are.equal(0, requests.count)
  end)
end)
