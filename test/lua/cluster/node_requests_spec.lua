-- Requests to other nodes over a link that a spec answers.

local Stub = require "support.ngx"
local Channels = require "framegate.cluster.channels"
local FakeRedis = require "support.fake_redis"
local Message = require "framegate.cluster.message"
local NodeRequests = require "framegate.cluster.node_requests"
local Dictionary = require "support.dictionary"
local Roster = require "framegate.cluster.roster"

describe("a request to other nodes", function()
  local redis, roster, requests, outcomes, is_ready, is_away

  before_each(function()
    Stub.now, outcomes, is_ready, is_away = 0, {}, true, false
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
      is_ready = function() return is_ready end,
      is_away = function() return is_away end,
    }
  end)

  local function send(request)
    request.op, request.args, request.seconds = request.op or "publish", {}, request.seconds or 2
    if request.waits == nil then
      request.waits = true
    end
    requests:send(request, "hi", function(outcome) outcomes[request.id] = outcome or "given back" end)
  end

  -- Redis has published it to so many links; the nodes have so many links.
  local function counted(command, receivers, own, a, b) command.callback { receivers, own, a, b } end

  local function answer(from, id) requests:answered(from, { id = id, results = { { from = from } } }) end

  local function froms(outcome)
    local list = {}
    for i, result in ipairs(outcome.results) do
      list[i] = result.from
    end
    return table.concat(list, " ")
  end

  after_each(function()
    Stub.now = Stub.now + 100
    is_ready = false
    requests:look()
    assert.are.equal(0, requests.count)
    assert.are.same({}, requests.flights)
    assert.are.equal(0, requests.unsent:count())
    assert.are.equal(0, requests.kept.bytes)
  end)

  it("is published to a group, with the own channels of the nodes", function()
    send { id = "1", group = "topic:t" }
    local command = redis:take_one()
    assert.are.same({ "c:topic:t", "c:node:own0", "c:node:aaaa", "c:node:bbbb" }, {
      command.args[1],
      command.args[3],
      command.args[4],
      command.args[5],
    })
    local head, payload = Message.decode(command.args[2])
    assert.are.same({ "1", "own0", "publish", "hi" }, { head.id, head.from, head.op, payload })
    counted(command, 0, 1, 1, 1)
    assert.are.same({ results = {}, missing = {} }, outcomes["1"])
  end)

  it("is complete when as many nodes answered as Redis counted, in any order of count and answers", function()
    send { id = "1", group = "topic:t" }
    answer("bbbb", "1")
    assert.is_nil(outcomes["1"])
    counted(redis:take_one(), 1, 1, 1, 1)
    assert.are.equal("bbbb", froms(outcomes["1"]))
    send { id = "2" }
    counted(redis:take_one(), 2, 1, 1, 1)
    answer("aaaa", "2")
    answer("aaaa", "2")
    assert.is_nil(outcomes["2"])
    answer("bbbb", "2")
    assert.are.equal("aaaa bbbb", froms(outcomes["2"]))
  end)

  it("does not count this node's own links, however many", function()
    send { id = "1" }
    requests:came_back "1"
    counted(redis:take_one(), 3, 2, 0, 1)
    roster:remove "aaaa"
    requests:check_all()
    assert.is_nil(outcomes["1"])
    answer("bbbb", "1")
    assert.are.equal("bbbb", froms(outcomes["1"]))
  end)

  it("is repeated once to those that do not answer, and an answer to that counts for nobody else", function()
    send { id = "1", group = "topic:t" }
    counted(redis:take_one(), 1, 1, 1, 1)
    Stub.now = 0.6
    requests:look()
    local repeats = redis:take()
    assert.are.same({ "c:node:aaaa", "c:node:bbbb" }, { repeats[1][2], repeats[2][2] })
    answer("bbbb", "1") -- it has no sockets in the topic: the receiver is the other one
    assert.is_nil(outcomes["1"])
    Stub.now = 1.5
    requests:look()
    assert.are.same({}, redis:take())
    Stub.now = 2.1
    requests:look()
    assert.are.same({ "aaaa" }, outcomes["1"].missing)
    assert.is_false(outcomes["1"].is_away)
  end)

  it("waits for a node that had no link, until it has joined again", function()
    send { id = "1", group = "topic:t" }
    counted(redis:take_one(), 1, 1, 0, 1)
    answer("bbbb", "1")
    assert.is_nil(outcomes["1"])
    requests:repeat_all "aaaa"
    assert.are.equal("c:node:aaaa", redis:take_one()[2])
    answer("aaaa", "1")
    assert.are.equal("bbbb aaaa", froms(outcomes["1"]))
  end)

  it("does not take the answer of a node that joined for that of a receiver", function()
    send { id = "1", group = "topic:t" }
    counted(redis:take_one(), 1, 1, 1, 1)
    requests:repeat_all "aaaa"
    answer("aaaa", "1")
    assert.is_nil(outcomes["1"])
    answer("bbbb", "1")
    assert.are.equal("aaaa bbbb", froms(outcomes["1"]))
  end)

  it("does not wait for a node that has left", function()
    send { id = "1" }
    counted(redis:take_one(), 2, 1, 1, 1)
    answer("aaaa", "1")
    roster:remove "bbbb"
    requests:check_all()
    assert.are.equal("aaaa", froms(outcomes["1"]))
  end)

  it("for one node ends with its answer, or when there is no such node", function()
    send { id = "1", to = "aaaa", worker = "worker" }
    local command = redis:take_one()
    assert.are.equal("c:node:aaaa", command.args[1])
    assert.are.equal("worker", Message.decode(command.args[2]).worker)
    answer("aaaa", "1")
    assert.is_false(outcomes["1"].is_gone)
    send { id = "2", to = "cccc" }
    redis:take_one().callback { 0, 1 }
    assert.is_true(outcomes["2"].is_gone)
    send { id = "3", to = "cccc" }
    redis:take_one().callback { 1, 1 }
    assert.is_nil(outcomes["3"], "it exists, but has not been heard of")
    answer("cccc", "3")
    assert.are.equal("cccc", froms(outcomes["3"]))
    send { id = "4", to = "bbbb" }
    redis:take_one().callback { 1, 1, 1 }
    roster:remove "bbbb"
    requests:check_all()
    assert.is_true(outcomes["4"].is_gone)
    send { id = "5", to = "aaaa" }
    redis:take_one().callback { 1, 1, 1 }
    Stub.now = 3
    requests:look()
    assert.are.same({ "aaaa" }, outcomes["5"].missing)
    redis:take()
  end)

  it("that somebody waits for is given up immediately while Redis is away, and waits for a moment before", function()
    is_ready = false
    send { id = "1" }
    assert.is_nil(outcomes["1"])
    is_away = true
    send { id = "2" }
    assert.is_true(outcomes["2"].is_away)
    assert.are.same({ "aaaa", "bbbb" }, outcomes["2"].missing)
    is_ready, is_away = true, false
    requests:send_unsent()
    counted(redis:take_one(), 0, 1, 1, 1)
    assert.is_false(outcomes["1"].is_away == true)
  end)

  it("is not sent while a command has no answer, and then in its order", function()
    is_ready = false
    send { id = "1", waits = false }
    send { id = "2", waits = false }
    assert.are.same({}, redis:take())
    is_ready = true
    send { id = "3", waits = false }
    local order = {}
    for i, command in ipairs(redis:take()) do
      order[i] = Message.decode(command.args[2]).id
    end
    assert.are.same({ "1", "2", "3" }, order)
  end)

  it("is sent again over a new link, and an answer that came before is kept", function()
    send { id = "1" }
    send { id = "2" }
    redis:take()
    answer("aaaa", "1")
    requests:resume()
    local commands = redis:take()
    assert.are.equal("c:node:bbbb", commands[1].args[4])
    commands[1].callback { 1, 1, 1 }
    assert.is_nil(outcomes["1"], "the one that answered may not be the receiver")
    answer("bbbb", "1")
    assert.are.equal("aaaa bbbb", froms(outcomes["1"]))
    assert.are.equal("2", Message.decode(commands[2].args[2]).id)
  end)

  it("is kept within a bound when nobody waits for it", function()
    is_ready, is_away = false, true
    for i = 1, 2000 do
      send { id = tostring(i), waits = false, seconds = 10 }
    end
    assert.is_true(outcomes["1"].is_away)
    assert.is_true(requests.count < 1000 and requests.count > 500)
    Stub.now = 11
    requests:look()
    assert.are.equal(0, requests.count)
    assert.are.equal(0, requests.unsent:count())
  end)

  it("is given back in its order, when another worker sends it", function()
    send { id = "1", waits = false }
    requests:give_back()
    assert.are.equal("given back", outcomes["1"])
  end)

  it("that is under way gives its outcome to everybody who asks for it", function()
    local second
    send { id = "1" }
    requests:send({ id = "1" }, "hi", function(outcome) second = outcome end)
    counted(redis:take_one(), 0, 1, 1, 1)
    assert.are.equal(outcomes["1"], second)
  end)

  it("leaves in turns of 500, so that sockets need not wait", function()
    is_ready = false
    for i = 1, 700 do
      send { id = tostring(i) }
    end
    is_ready = true
    assert.is_true(requests:send_unsent())
    assert.are.equal(500, #redis:take())
    assert.is_false(requests:send_unsent())
    assert.are.equal(200, #redis:take())
  end)
end)
