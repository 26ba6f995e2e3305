local Dictionary = require "support.dictionary"
local Holders = require "framegate.cluster.holders"

describe("the worker that holds the link", function()
  local dict, all, last_configuration

  before_each(function()
    dict, all, last_configuration = Dictionary.new(), {}, 1
  end)

  -- A worker, as Members describes it.
  local function worker(name, joined_at, configuration)
    local facts = { name = name, joined_at = joined_at, configuration = configuration or 1, is_leaving = false }
    all[#all + 1] = facts
    local members = {
      worker = function() return name end,
      joined_at = function() return joined_at end,
      configuration = function() return facts.configuration end,
      is_leaving = function() return facts.is_leaving end,
      is_newest = function() return facts.configuration == last_configuration end,
      is_last_configuration = function() return facts.configuration == last_configuration end,
      is_alive = function(_, other) return not other.is_dead end,
      others = function()
        local others = {}
        for _, other in ipairs(all) do
          others[#others + 1] = other ~= facts and other or nil
        end
        return others
      end,
    }
    return Holders.new { dict = dict, members = members }, facts
  end

  it("is the oldest of the newest configuration that lives and is not leaving", function()
    local a, a_facts = worker("a", 1)
    local b, b_facts = worker("b", 2)
    local c = worker("c", 3)
    assert.are.same({ true, false, false }, { a:should_hold(), b:should_hold(), c:should_hold() })
    a_facts.is_leaving = true
    assert.are.same({ false, true, false }, { a:should_hold(), b:should_hold(), c:should_hold() })
    b_facts.is_dead = true
    assert.is_true(c:should_hold())
    last_configuration = 2
    local d = worker("d", 4, 2)
    assert.are.same({ false, true }, { c:should_hold(), d:should_hold() })
  end)

  it("is one, with another that is about to take over", function()
    local a = worker("a", 1)
    local b = worker("b", 2)
    assert.are.same({}, a:all())
    a:take_over()
    b:prepare()
    assert.are.same({ "a", "b" }, a:all())
    assert.are.same({ true, false, "a" }, { a:is_own(), b:is_own(), b:current() })
    b:take_over()
    assert.are.same({ "b" }, a:all())
  end)

  it("clears its own name only", function()
    local a = worker("a", 1)
    local b = worker("b", 2)
    a:take_over()
    b:prepare()
    a:resign()
    assert.are.same({ "b" }, { b:current() or unpack(b:all()) })
    b:take_over()
    a:resign()
    a:step_back()
    assert.are.equal("b", a:current())
  end)

  it("may have been killed", function()
    local a, facts = worker("a", 1)
    local b = worker("b", 2)
    assert.is_false(b:is_alive())
    a:take_over()
    assert.is_true(b:is_alive())
    facts.is_dead = true
    assert.is_false(b:is_alive())
    assert.are.same({ true, false, false }, { a:is_living "b", b:is_living "a", a:is_living "nobody" })
  end)

  it("belongs to a cluster as the newest configuration says", function()
    local a = worker("a", 1)
    a:set_clustered(true)
    last_configuration = 2
    a:set_clustered(false)
    assert.is_true(a:is_clustered())
  end)
end)
