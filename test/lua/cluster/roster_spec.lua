local Stub = require "support.ngx"
local Dictionary = require "support.dictionary"
local Roster = require "framegate.cluster.roster"

describe("the roster", function()
  local roster, dict

  before_each(function()
    Stub.now, dict = 100, Dictionary.new()
    roster = Roster.new { own = "own0", now = function() return Stub.now end, dict = dict }
  end)

  local function ids()
    local all = {}
    for i, neighbour in ipairs(roster:all()) do
      all[i] = neighbour.id
    end
    return table.concat(all, " ")
  end

  local function node(id, lease) return { id = id, facts = { name = id }, lease = lease } end

  it("has the other nodes, in the order of their ids", function()
    roster:update { node("bbbb", 9), node("own0", 9), node("aaaa", 9) }
    roster:hear("cccc", { name = "c" })
    roster:hear("own0", {})
    assert.are.equal("aaaa bbbb cccc", ids())
    assert.are.equal("bbbb", roster:get("bbbb").facts.name)
    roster:remove "bbbb"
    assert.are.equal("aaaa cccc", ids())
  end)

  it("keeps a node that Redis has forgotten for as long as a lease", function()
    roster:update { node("aaaa", 9) }
    Stub.now = 108
    roster:update {}
    assert.are.equal("aaaa", ids())
    Stub.now = 110
    roster:update {}
    assert.are.equal("", ids())
  end)

  it("gives all nodes that time again after the link was away, however long", function()
    roster:update { node("aaaa", 9) }
    Stub.now = 1000
    roster:resume()
    roster:update {}
    assert.are.equal("aaaa", ids())
    Stub.now = 1010
    roster:update {}
    assert.are.equal("", ids())
  end)

  it("counts how often in a row a lease was seen to be gone", function()
    roster:update { node("aaaa", 3) }
    Stub.now = 104
    roster:update { node("aaaa", -2) }
    Stub.now = 107
    roster:update { node("aaaa", -2) }
    local neighbour = roster:get "aaaa"
    assert.are.same({ 104, 2 }, { neighbour.expired_since, neighbour.looks })
    roster:resume()
    assert.are.same({ nil, 0 }, { neighbour.expired_since, neighbour.looks })
    roster:update { node("aaaa", -2) }
    roster:update { node("aaaa", 5) }
    assert.are.equal(0, neighbour.looks)
  end)

  it("is the same in the next worker that holds the link", function()
    roster:update { node("aaaa", 3), node("bbbb", 3) }
    roster:remove "bbbb"
    Stub.now = 1000
    roster = Roster.new { own = "own0", now = function() return Stub.now end, dict = dict }
    roster:update {}
    assert.are.equal("aaaa", ids())
    assert.are.equal("aaaa", roster:get("aaaa").facts.name)
    roster:clear()
    assert.are.equal("", ids())
    roster = Roster.new { own = "own0", now = function() return Stub.now end, dict = dict }
    assert.are.equal("", ids())
  end)
end)
