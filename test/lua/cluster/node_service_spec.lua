local Stub = require "support.ngx"
local Channels = require "framegate.cluster.channels"
local Dictionary = require "support.dictionary"
local FakeRedis = require "support.fake_redis"
local Message = require "framegate.cluster.message"
local Seen = require "framegate.cluster.seen"

describe("what other nodes request", function()
  local saved, logged, redis, service, asked, told, last_items

  before_each(function()
    rawset(ngx.shared, "seen", Dictionary.new())
    package.loaded["framegate.cluster.last_items"] = nil
    last_items = require "framegate.cluster.last_items"
    saved = package.loaded["framegate.runtime.log"] or false
    logged = {}
    package.loaded["framegate.runtime.log"] = {
      error = function() end,
      limited = function(_, kind) logged[#logged + 1] = kind end,
    }
    package.loaded["framegate.cluster.node_service"] = nil
    local NodeService = require "framegate.cluster.node_service"
    Stub.now, redis, asked, told = 0, FakeRedis.new(), {}, {}
    service = NodeService.new {
      own = "own0",
      link = redis,
      channels = Channels.new "c",
      seen = Seen.new { dict = Dictionary.new(), own = "me", is_living = function() return true end },
      on_answer = function() end,
      bus = {
        ask = function(_, worker, request, on_result)
          asked[#asked + 1] = { worker, request.op, request.payload, on_result = on_result }
        end,
        ask_all = function(_, request, on_done)
          if request.op == "unknown" then
            error "no such operation"
          end
          asked[#asked + 1] = { "all", request.op, request.payload, on_done = on_done }
        end,
        tell_all = function(_, op, args, payload) told[#told + 1] = { op, payload, args.former } end,
      },
    }
  end)

  after_each(function()
    package.loaded["framegate.runtime.log"] = saved or nil
    package.loaded["framegate.cluster.node_service"] = nil
    assert.is_false(service:is_busy())
  end)

  local function receive(head)
    head.from, head.args = head.from or "far0", head.args or {}
    service:receive(head, "hi")
  end

  local function answers()
    service:flush()
    local list = {}
    for _, command in ipairs(redis:take()) do
      for _, one in ipairs(Message.decode(command[3]).answers) do
        list[#list + 1] = { command[2], one.id, #one.results, one.is_incomplete }
      end
    end
    return list
  end

  it("is run in all workers once, and a repeat gets the first answer", function()
    receive { id = "1", op = "publish", waits = true }
    receive { id = "1", op = "publish", waits = true }
    assert.are.equal(1, #asked)
    assert.are.same({}, answers(), "it still runs")
    asked[1].on_done({ {}, {} }, true)
    assert.are.same({ { "c:node:far0", "1", 2 } }, answers())
    receive { id = "1", op = "publish", waits = true, from = "far1" }
    assert.are.equal(1, #asked)
    assert.are.same({ { "c:node:far1", "1", 2 } }, answers())
  end)

  it("is the last item of its channel when the workers have it, if it is an item", function()
    last_items.note("news", "1")
    local function is_early() return last_items.is_early { channel = "news", id = "3", previous = "2" } end
    receive { id = "1", op = "publish", waits = true, args = { topic = "news", item = "2" } }
    assert.is_true(is_early())
    asked[1].on_done({}, true)
    assert.is_false(is_early())
  end)

  it("is told to all workers when nobody waits for the results", function()
    receive { id = "1", op = "publish" }
    receive { id = "2", op = "publish" }
    receive { id = "1", op = "publish" }
    assert.are.same({ { "publish", "hi" }, { "publish", "hi" } }, told)
    assert.are.equal(3, #answers())
  end)

  it("comes again when a worker did not deliver it and Redis has lost it", function()
    receive { id = "1", op = "publish", waits = true, args = { topic = "t", place = { epoch = "a", offset = 4 } } }
    asked[1].on_done({ { delivered = 0, dropped = 0, is_lost = true } }, true)
    assert.are.same({}, answers())
    receive { id = "1", op = "publish", waits = true, args = { topic = "t", place = { epoch = "b", offset = 1 } } }
    assert.are.same({ { "skip_frame", "hi", { epoch = "a", offset = 4 } } }, told)
    assert.are.same({ { "c:node:far0", "1", 1 } }, answers())
  end)

  it("is passed over by the workers when it was run and has a place in another epoch now", function()
    for _ = 1, 2 do
      receive { id = "1", op = "publish", args = { topic = "t", place = { epoch = "a", offset = 4 } } }
    end
    assert.are.equal(1, #told)
    receive { id = "1", op = "publish", args = { topic = "t", place = { epoch = "b", offset = 1 } } }
    assert.are.same({ "skip_frame", "hi", { epoch = "a", offset = 4 } }, told[2])
  end)

  it("may be for one worker, which may be gone", function()
    receive { id = "1", op = "send", worker = "worker", waits = true }
    assert.are.same({ "worker", "send", "hi" }, { unpack(asked[1]) })
    asked[1].on_result(nil)
    assert.are.same({ { "c:node:far0", "1", 0 } }, answers())
  end)

  it("is run again when it only reads", function()
    for _ = 1, 2 do
      receive { id = "1", op = "list", waits = true, is_read = true }
    end
    asked[1].on_done({}, true)
    asked[2].on_done({}, false)
    assert.are.same({ { "c:node:far0", "1", 0 }, { "c:node:far0", "1", 0, true } }, answers())
  end)

  it("may be unknown: it is answered, logged, and leaves nothing", function()
    receive { id = "1", op = "unknown", waits = true }
    assert.are.same({ { "c:node:far0", "1", 0, true } }, answers())
    assert.are.same({ "node" }, logged)
  end)

  it("is answered in one message for each node", function()
    for i = 1, 10 do
      receive { id = tostring(i), op = "publish", from = i % 2 == 0 and "far0" or "far1" }
    end
    service:flush()
    assert.are.equal(2, #redis:take())
    redis.is_up = false
    receive { id = "11", op = "publish" }
    service:flush()
    redis.is_up = true
    assert.are.same({}, answers(), "without a link the answer is dropped: the repeat gets it")
  end)
end)
