local Dictionary = require "support.dictionary"
local Slots = require "framegate.cluster.slots"

local TEN = { name = "/ws/tick", period = 10000, latest = 5000 }

describe("a slot of this node", function()
  it("begins at a multiple of its period, and is claimed once", function()
    local dict = Dictionary.new()
    assert.are.same({ now = 25000, slot = 20000, is_claimed = true }, Slots.claim_here(dict, TEN, 25000))
    assert.is_false(Slots.claim_here(dict, TEN, 25001).is_claimed)
    assert.are.same({ now = 30000, slot = 30000, is_claimed = true }, Slots.claim_here(dict, TEN, 30000))
    assert.is_false(Slots.claim_here(dict, TEN, 29999).is_claimed)
  end)

  it("is not claimed late", function()
    local dict = Dictionary.new()
    assert.is_false(Slots.claim_here(dict, TEN, 25001).is_claimed)
    assert.is_true(Slots.claim_here(dict, TEN, 24999).is_claimed)
  end)

  it("has a name and a beginning, whatever the period", function()
    local dict = Dictionary.new()
    assert.is_true(Slots.claim_here(dict, TEN, 20000).is_claimed)
    local other = { name = "/ws/other", period = 10000, latest = 5000 }
    assert.is_true(Slots.claim_here(dict, other, 20000).is_claimed)
    local slower = { name = "/ws/tick", period = 20000, latest = 5000 }
    assert.is_false(Slots.claim_here(dict, slower, 20001).is_claimed)
    assert.is_true(Slots.claim_here(dict, slower, 40000).is_claimed)
  end)
end)

describe("a slot of the cluster", function()
  local link, calls

  before_each(function()
    calls = {}
    link = {
      own = "node",
      channels = { timer = function(_, name) return "c:timer:" .. name .. ":" end },
      link = {
        eval = function(_, _, keys, args, on_reply)
          calls[#calls + 1] = { keys = keys, args = args, on_reply = on_reply }
          return link.is_up
        end,
      },
      is_up = true,
    }
  end)

  it("is claimed by the clock of Redis", function()
    local slot
    Slots.claim(link, TEN, function(value) slot = value end)
    assert.are.same({ "c:timer:/ws/tick:" }, calls[1].keys)
    assert.are.same({ 10000, 5000, "node", 80000 }, calls[1].args)
    calls[1].on_reply { 20001, 20000, 1 }
    assert.are.same({ now = 20001, slot = 20000, is_claimed = true }, slot)
    Slots.claim(link, TEN, function(value) slot = value end)
    calls[2].on_reply { 20002, 20000, 0 }
    assert.is_false(slot.is_claimed)
  end)

  it("is not claimed while Redis is away", function()
    local slots = {}
    Slots.claim(link, TEN, function(slot) slots[1] = slot or "none" end)
    calls[1].on_reply(nil, "lost")
    link.is_up = false
    Slots.claim(link, TEN, function(slot) slots[2] = slot or "none" end)
    assert.are.same({ "none", "none" }, slots)
  end)
end)
