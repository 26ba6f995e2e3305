local Origins = require "framegate.push.origins"

describe("the origins of publications", function()
  it("number what this worker publishes, from 1", function()
    local origins = Origins.new "nodeworker"
    assert.are.same({ "nodeworker", 1 }, origins:next())
    assert.are.same({ "nodeworker", 2 }, origins:next())
  end)

  it("know the last publication of each worker that was delivered here", function()
    local origins = Origins.new "nodeworker"
    origins:note { "nodeanothe", 4 }
    origins:note { "nodeanothe", 5 }
    origins:note { "farfarther", 1 }
    origins:note(nil) -- of a node of an earlier version
    assert.are.same({ nodeanothe = 5, farfarther = 1 }, origins:vector())
  end)

  it("give a vector that later deliveries do not change", function()
    local origins = Origins.new "nodeworker"
    origins:note { "nodeanothe", 4 }
    local vector = origins:vector()
    origins:note { "nodeanothe", 5 }
    assert.are.same({ nodeanothe = 4 }, vector)
  end)

  it("decide whether a publication was delivered where a vector comes from", function()
    local vector = { nodeanothe = 5 }
    assert.is_true(Origins.includes(vector, { "nodeanothe", 5 }))
    assert.is_true(Origins.includes(vector, { "nodeanothe", 1 }))
    assert.is_false(Origins.includes(vector, { "nodeanothe", 6 }))
    assert.is_false(Origins.includes(vector, { "farfarther", 1 }))
    assert.is_false(Origins.includes(vector, nil))
  end)

  it("merge two vectors by the greater number, up to 1000 names", function()
    local vector = { nodeanothe = 5, nodeworker = 7 }
    Origins.merge(vector, { nodeanothe = 6, nodeworker = 2, farfarther = 1 })
    assert.are.same({ nodeanothe = 6, nodeworker = 7, farfarther = 1 }, vector)
    assert.are.same({ a = 1 }, Origins.merge({ a = 1 }, nil))
    local many, count = {}, 0
    for i = 1, 1100 do
      many["worker" .. i] = 1
    end
    for _ in pairs(Origins.merge(vector, many)) do
      count = count + 1
    end
    assert.are.same({ 1000, 6 }, { count, vector.nodeanothe })
  end)

  it("forget all when they have become too many", function()
    local origins = Origins.new "nodeworker"
    for i = 1, 1000 do
      origins:note { "worker" .. i, 1 }
    end
    origins:note { "worker1000", 2 }
    assert.are.equal(2, origins:vector().worker1000)
    origins:note { "another", 1 }
    assert.are.same({ another = 1 }, origins:vector())
  end)
end)
