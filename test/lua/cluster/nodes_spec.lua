local Stub = require "support.ngx"
local Loop = require "support.event_loop"
local Nodes = require "framegate.cluster.nodes"

describe("the other nodes, for a worker", function()
  local nodes, holder, handed, unreachable, lost, outcomes, is_clustered

  before_each(function()
    Loop.reset()
    Stub.now, holder, handed, unreachable, lost, outcomes, is_clustered = 0, "h1", {}, {}, 0, {}, true
    nodes = Nodes.new {
      own = "nodeworker",
      wait = 2,
      max_bytes = 1e5,
      now = function() return Stub.now end,
      holders = { is_clustered = function() return is_clustered end, current = function() return holder end },
      bus = {
        ask = function(_, name, request, on_result)
          if unreachable[name] then
            return on_result(nil)
          end
          handed[#handed + 1] = { holder = name, id = request.args.id, payload = request.payload, reply = on_result }
        end,
        call_all = function() return { "here" }, true end,
      },
      on_lost = function() lost = lost + 1 end,
    }
  end)

  local function send(id, waits)
    local request = { id = id, op = "publish", args = {}, waits = waits, seconds = waits and 2 or 10 }
    nodes:send(request, "hi", function(outcome) outcomes[id] = outcome end)
  end

  local function ids(first)
    local list = {}
    for i = first or 1, #handed do
      list[#list + 1] = handed[i].holder .. ":" .. handed[i].id
    end
    return table.concat(list, " ")
  end

  local DONE = { results = {}, missing = {} }

  local function is_empty()
    assert.is_false(nodes:is_busy())
    assert.are.same({ {}, 0, 0, 0 }, { nodes.entries, nodes.handed, nodes.unhanded, nodes.kept.bytes })
  end

  it("are asked over the worker that holds the link", function()
    send("1", true)
    send("2")
    assert.are.equal("h1:1 h1:2", ids())
    assert.are.equal("hi", handed[1].payload)
    handed[1].reply(DONE)
    handed[2].reply { results = {}, missing = { "far0" } }
    assert.are.equal(DONE, outcomes["1"])
    assert.are.equal(1, lost, "nobody waited for the second one")
    Loop.run(1)
    is_empty()
  end)

  it("are none without a cluster", function()
    is_clustered = false
    send("1", true)
    assert.are.same(DONE, { results = outcomes["1"].results, missing = outcomes["1"].missing })
    assert.are.same({}, handed)
  end)

  it("are asked again over the next holder, in the same order", function()
    for i = 1, 50 do
      send(tostring(i))
    end
    holder, unreachable.h1 = "h2", true
    send "51"
    for i = #handed, 1, -1 do
      handed[i].reply(nil) -- the killed worker loses them in any order
    end
    send "52"
    local first = #handed + 1
    Loop.run(0.5)
    local expected = {}
    for i = 1, 52 do
      expected[i] = "h2:" .. i
    end
    assert.are.equal(table.concat(expected, " "), ids(first))
    for i = first, #handed do
      handed[i].reply(DONE)
    end
    assert.are.equal(0, lost)
    Loop.run(1)
    is_empty()
  end)

  it(
    "do not get a request over a new holder before those that the former one has, unless somebody waits for it",
    function()
      send "1"
      holder = "h2"
      send "2"
      send("3", true)
      assert.are.equal("h1:1 h2:3", ids())
      handed[1].reply(DONE)
      Loop.run(0.15)
      assert.are.equal("h1:1 h2:3 h2:2", ids())
      holder = "h3"
      send "4"
      Loop.run(0.5)
      assert.are.equal("h3:4", ids(4), "it does not wait for long")
      handed[2].reply(DONE)
      handed[3].reply(DONE)
      handed[4].reply(DONE)
      Loop.run(1)
      is_empty()
    end
  )

  it("do not answer without a holder: requests end at their deadlines", function()
    holder = nil
    send("1", true)
    send "2"
    Loop.run(3)
    assert.is_true(outcomes["1"].is_away)
    assert.is_nil(outcomes["2"])
    Loop.run(10)
    assert.is_true(outcomes["2"].is_away)
    assert.are.equal(1, lost)
    Loop.run(1)
    is_empty()
  end)

  it("do not answer when the holder does not: a second later than the deadline", function()
    send("1", true)
    Loop.run(2.9)
    assert.is_nil(outcomes["1"])
    Loop.run(0.5)
    assert.is_true(outcomes["1"].is_away)
    handed[1].reply(DONE)
    handed[1].reply(nil)
    is_empty()
  end)

  it("are kept requests for within a bound", function()
    for i = 1, 300 do
      send(tostring(i))
    end
    assert.is_true(lost > 150 and lost < 250)
    assert.is_true(outcomes["1"].is_away)
    Loop.run(20)
    assert.are.equal(300, lost)
    is_empty()
  end)

  it("are collected from", function()
    local results, is_complete
    Loop.spawn(function()
      results, is_complete = nodes:collect("list", {})
    end)
    Loop.run(0)
    handed[1].reply { results = { "there" }, missing = {} }
    Loop.run(0)
    assert.are.same({ "here", "there" }, results)
    assert.is_true(is_complete)
    Loop.spawn(function()
      results, is_complete = nodes:collect("list", {})
    end)
    Loop.run(5)
    assert.are.same({ "here" }, results)
    assert.is_false(is_complete)
  end)
end)
