local Dictionary = require "support.dictionary"
local Roster = require "framegate.cluster.roster"

describe("the description of the other nodes", function()
  local now, roster

  before_each(function()
    now = 100
    roster = Roster.new { own = "ownn", now = function() return now end, dict = Dictionary.new() }
  end)

  local function facts(name) return { name = name, started = 0, sockets = 1, version = "1" } end

  it("has each but this one, in the order of ids, with what is left of its lease", function()
    roster:update {
      { id = "ownn", facts = facts "own", lease = 9 },
      { id = "bbbb", facts = facts "b", lease = 8 },
      { id = "aaaa", facts = facts "a", lease = 7 },
    }
    now = 102
    assert.are.same({
      { id = "aaaa", facts = facts "a", lease = 5, is_up = true, is_expired = false },
      { id = "bbbb", facts = facts "b", lease = 6, is_up = true, is_expired = false },
    }, roster:describe())
  end)

  it("shows a node as down that is late to renew its lease, or has none", function()
    roster:update { { id = "aaaa", facts = facts "a", lease = 3.5 }, { id = "bbbb", facts = facts "b", lease = -2 } }
    local late, gone = unpack(roster:describe())
    assert.are.same({ false, false, 3.5 }, { late.is_up, late.is_expired, late.lease })
    assert.are.same({ false, true, 0 }, { gone.is_up, gone.is_expired, gone.lease })
  end)

  it("shows a node as up that has joined again", function()
    roster:update { { id = "aaaa", facts = facts "a", lease = 1 } }
    roster:hear("aaaa", facts "again")
    local node = roster:describe()[1]
    assert.are.same({ true, 9, "again" }, { node.is_up, node.lease, node.facts.name })
  end)
end)
