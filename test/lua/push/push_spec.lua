local Stub = require "support.ngx"
require "support.event_loop"
local cjson = require "cjson.safe"
rawset(ngx.shared, "sessions", require("support.dictionary").new())

describe("a push", function()
  local saved, Push, asked, told, requested, results, outcome, observed

  before_each(function()
    saved = {}
    for _, name in ipairs { "telemetry.counters", "telemetry.cluster_metrics", "push.push" } do
      saved[name] = package.loaded["framegate." .. name] or false
      package.loaded["framegate." .. name] = nil
    end
    package.loaded["framegate.telemetry.counters"] = {
      place = function() return {} end,
      count = function() end,
    }
    observed = {}
    package.loaded["framegate.telemetry.cluster_metrics"] = {
      pushed = function(seconds) observed[#observed + 1] = seconds end,
    }
    Push = require "framegate.push.push"
    asked, told, requested, results, outcome = {}, {}, {}, {}, nil
    Stub.now = 0
  end)

  after_each(function()
    for name, module in pairs(saved) do
      package.loaded["framegate." .. name] = module or nil
    end
  end)

  local function push()
    return Push.new {
      members = { node = function() return "node" end },
      seen = {},
      history = { rule_of = function() end },
      origins = { next = function() end },
      wait = 2,
      keep = 10,
      nodes = {
        new_id = function() return "node/1" end,
        is_alone = function() return not outcome end,
        begin = function(_, request, payload)
          requested[#requested + 1] = { request, payload }
          local is_gone = request.to ~= nil
          return function()
            Stub.now = Stub.now + 2
            return outcome or { results = {}, missing = {}, is_gone = is_gone }
          end
        end,
        send = function(_, request, payload) requested[#requested + 1] = { request, payload } end,
      },
      bus = {
        call = function(_, ...)
          asked[#asked + 1] = { ... }
          return unpack(results)
        end,
        call_all = function(_, op, args, payload, on_send)
          asked[#asked + 1] = { op, args, payload }
          on_send()
          return results, true
        end,
        tell_all = function(_, ...) told[#told + 1] = { ... } end,
      },
    }
  end

  it("to a connection asks the worker whose name is in its id", function()
    results = { { delivered = 1, dropped = 0 } }
    assert.are.same({ delivered = 1, dropped = 0 }, push():send("nodeworker-rest", { payload = "hi", is_text = true }))
    assert.are.same({ { "worker", "send", { id = "nodeworker-rest", is_text = true }, "hi" } }, asked)
  end)

  it("to a connection of another node, or one that is gone, reaches nobody", function()
    local counts, err = push():send("otherworker-rest", { payload = "hi", is_text = true })
    assert.is_nil(counts)
    assert.are.equal("gone", err)
    assert.are.same({}, asked)
    results = { { gone = true } }
    assert.are.equal("gone", select(2, push():send("nodeworker-rest", { payload = "hi", is_text = true })))
    results = { nil, "timeout" }
    assert.are.equal("timeout", select(2, push():send("nodeworker-rest", { payload = "hi", is_text = true })))
  end)

  describe("to a connection that has moved", function()
    local holder, answers, nodes

    -- A push whose workers and nodes answer one after the other, in the order of a list.
    local function mover(list)
      answers, holder, nodes = list, "holder", {}
      outcome = { results = {}, missing = {} }
      local one = push()
      one.holders = { current = function() return holder end }
      local function answer()
        local next_answer = table.remove(answers, 1)
        assert(next_answer, "nothing more was to be asked")
        return next_answer
      end
      local function call(_, ...)
        asked[#asked + 1] = { ... }
        return unpack(answer())
      end
      one.bus.call = call
      one.nodes.begin = function(_, request)
        nodes[#nodes + 1] = request
        return answer
      end
      return one
    end

    local function moved(to) return { { moved = to } } end

    local FOUND = { delivered = 1, dropped = 0 }
    local MESSAGE = { payload = "hi", is_text = true }

    it("follows it from worker to worker", function()
      local one = mover { moved "nodeanothe", { FOUND } }
      assert.are.same(FOUND, one:send("nodeworker-rest", MESSAGE))
      assert.are.same({ "worker", "anothe" }, { asked[1][1], asked[2][1] })
    end)

    it("follows it to another node and back", function()
      local one = mover { moved "farrworker", { results = { { moved = "nodeanothe" } }, missing = {} }, { FOUND } }
      assert.are.same(FOUND, one:send("nodeworker-rest", MESSAGE))
      assert.are.same({ "worker", "anothe" }, { asked[1][1], asked[2][1] })
      assert.are.same({ "farr", "worker" }, { nodes[1].to, nodes[1].worker })
    end)

    it("begins where shared memory knows it to be", function()
      ngx.shared.sessions:set("h:nodeworker-rest", "nodeanothe")
      local one = mover { { FOUND } }
      assert.are.same(FOUND, one:send("nodeworker-rest", MESSAGE))
      ngx.shared.sessions:delete "h:nodeworker-rest"
      assert.are.equal("anothe", asked[1][1])
    end)

    it("asks each under another key, so that none takes it for a repeat", function()
      local request = { op = "close", args = {}, payload = "", key = "k" }
      local there = { results = { { moved = "awayworker" } }, missing = {} }
      local everywhere = { results = { { moved = "x" }, { gone = true }, { closed = true } }, missing = {} }
      local gone = { results = { { gone = true } }, missing = {} }
      local one = mover { there, gone, { { node = "more" } }, everywhere }
      assert.are.same({ closed = true }, one:ask("farrworker-rest", request))
      local keys, places = {}, {}
      for i, asked_node in ipairs(nodes) do
        keys[i], places[i] = asked_node.id, asked_node.to
      end
      assert.are.same({ { "k", "k+", "k++" }, { "farr", "away", "more" } }, { keys, places })
      assert.are.same({ "holder", "find_socket", { id = "farrworker-rest" } }, asked[1])
      assert.is_nil(nodes[3].worker)
    end)

    it("asks Redis when it moved on too often, and reports it gone when no node has it", function()
      local list = {}
      for i = 1, 4 do
        list[i] = moved "nodeworker"
      end
      list[5] = { {} }
      assert.are.equal("gone", select(2, mover(list):send("nodeworker-rest", MESSAGE)))
      assert.are.equal(5, #asked)
      local one = mover { { { gone = true } }, { { node = "farr" } }, { results = { { gone = true } }, missing = {} } }
      assert.are.equal("gone", select(2, one:send("nodeworker-rest", MESSAGE)))
    end)

    it("reports neither gone nor found while it is not known", function()
      local one = mover { { { gone = true } }, { { is_away = true } } }
      assert.are.equal("unreachable", select(2, one:send("nodeworker-rest", MESSAGE)))
      one = mover { moved "farrworker", { results = {}, missing = { "farr" } } }
      assert.are.equal("unreachable", select(2, one:send("nodeworker-rest", MESSAGE)))
      local gone, found = { { gone = true } }, { { node = "farr" } }
      one = mover { gone, found, { results = {}, missing = { "farr" } } }
      assert.are.equal("unreachable", select(2, one:send("nodeworker-rest", MESSAGE)))
      one = mover { gone, found, { results = {}, missing = {}, is_incomplete = true } }
      assert.are.equal("timeout", select(2, one:send("nodeworker-rest", MESSAGE)))
      one = mover { { nil, "timeout" } }
      assert.are.equal("timeout", select(2, one:send("nodeworker-rest", MESSAGE)))
    end)

    it("asks no Redis that there is not", function()
      local one = mover { { { gone = true } } }
      outcome = nil
      assert.are.equal("gone", select(2, one:send("nodeworker-rest", MESSAGE)))
      one, holder = mover { { { gone = true } } }, nil
      assert.are.equal("gone", select(2, one:send("nodeworker-rest", MESSAGE)))
    end)
  end)

  it("to many gives the sum over all workers", function()
    results = { { delivered = 2, dropped = 1 }, { delivered = 3, dropped = 0 } }
    local counts = push():to_many("publish", { topic = "news" }, { payload = "hi", is_text = false })
    assert.are.same({ delivered = 5, dropped = 1 }, counts)
    assert.are.same({ { "publish", { topic = "news", is_text = false }, "hi" } }, asked)
    assert.are.same({}, observed)
  end)

  it("goes to the node of the connection", function()
    outcome = { results = { { delivered = 1, dropped = 0 } }, missing = {} }
    local message = { payload = "hi", is_text = true, key = "k" }
    assert.are.same({ delivered = 1, dropped = 0 }, push():send("otherworker-rest", message))
    local request, payload = unpack(requested[1])
    assert.are.same({ "k", "send", "othe", "rworke", "hi" }, {
      request.id,
      request.op,
      request.to,
      request.worker,
      payload,
    })
    outcome = { results = {}, missing = { "othe" } }
    assert.are.equal("unreachable", select(2, push():send("otherworker-rest", message)))
    outcome = { results = {}, missing = {}, is_away = true }
    assert.are.equal("unreachable", select(2, push():send("otherworker-rest", message)))
    outcome = { results = {}, missing = {}, is_incomplete = true }
    assert.are.equal("timeout", select(2, push():send("otherworker-rest", message)))
  end)

  it("to many gives the sum over all nodes", function()
    results = { { delivered = 2, dropped = 1 } }
    outcome = { results = { { delivered = 3, dropped = 0 } }, missing = {} }
    local message = { payload = "hi", is_text = false }
    local counts, err = push():to_many("publish", { topic = "news" }, message)
    assert.are.same({ delivered = 5, dropped = 1 }, counts)
    assert.is_nil(err)
    assert.are.equal("topic:news", requested[1][1].group)
    assert.are.same({ 2 }, observed)
    outcome.missing[1] = "far"
    assert.are.equal("unreachable", select(2, push():to_many("broadcast", {}, message)))
    assert.is_nil(requested[2][1].group)
    push():to_many("publish", { topic = "news", item = "1" }, message)
    assert.is_nil(requested[3][1].group, "all nodes learn which item came last")
  end)

  it("to a kept topic stores the frame once for one key, and gives its position again", function()
    local Dictionary, Seen = require "support.dictionary", require "framegate.cluster.seen"
    local kept, one = 0, push()
    one.once_here.seen = Seen.new { dict = Dictionary.new(), own = "one", is_living = function() return true end }
    one.history = {
      rule_of = function() return {} end,
      keep = function()
        kept = kept + 1
        return { offset = kept }, "position " .. kept
      end,
    }
    results = { { delivered = 1, dropped = 0 } }
    for _ = 1, 2 do
      local counts = one:to_many("publish", { topic = "t" }, { payload = "hi", is_text = true, key = "k" })
      assert.are.same({ delivered = 1, dropped = 0, position = "position 1" }, counts)
    end
    assert.are.equal(1, kept)
    assert.are.same({ { "publish", { topic = "t", is_text = true, place = { offset = 1 } }, "hi" } }, asked)
  end)

  it("to a topic that Redis keeps reaches this node from there too, and its place makes the position", function()
    outcome = { results = { { delivered = 2, dropped = 0 } }, missing = {}, place = { epoch = "e", offset = 31 } }
    local one = push()
    one.history = {
      is_shared = true,
      takes = function(_, topic, payload) return topic == "t" and payload ~= "long" end,
      publication = function(_, args, has_key) return { args.topic, has_key } end,
      rule_of = function() return {} end,
      keep = function() end,
    }
    local counts = one:to_many("publish", { topic = "t" }, { payload = "hi", is_text = true, key = "k" })
    assert.are.same({ delivered = 2, dropped = 0, position = "e.1f" }, counts)
    one:publish_effect({ topic = "t", payload = "hi", is_text = true }, "id")
    assert.are.same({ {}, {} }, { asked, told })
    assert.are.same({ { "t", true }, { "t", false } }, { requested[1][1].kept, requested[2][1].kept })
    outcome.place = nil
    assert.are.equal(cjson.null, one:to_many("publish", { topic = "t" }, { payload = "long", is_text = true }).position)
    assert.are.same({ 1, nil }, { #asked, requested[3][1].kept })
  end)

  it("of an answer waits for nobody, and leaves out its own socket when it says so", function()
    push():publish_effect({ topic = "news", payload = "hi", is_text = true, except_self = true }, "id")
    push():publish_effect({ topic = "news", payload = "hi", is_text = true }, "id")
    assert.are.same({
      { "publish", { topic = "news", except = "id", is_text = true }, "hi" },
      { "publish", { topic = "news", is_text = true }, "hi" },
    }, told)
  end)
end)
