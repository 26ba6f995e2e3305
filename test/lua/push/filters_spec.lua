local Filters = require "framegate.push.filters"

describe("filters of a subscription", function()
  local function connection(filters, user, topics)
    local of = Filters.set_meta(Filters.set(nil, "news", filters), "user", user)
    return { grip = { filters = of }, topics = topics }
  end

  local function passes(filters, meta, facts)
    facts = facts or {}
    return Filters.pass(connection(filters, facts.user or "ann", facts.topics), facts.topic or "news", meta)
  end

  it("let everything pass without filters, or without meta values", function()
    assert.is_true(Filters.pass({}, "news", { sender = "ann" }))
    assert.is_true(Filters.pass({ grip = {} }, "news", { sender = "ann" }))
    assert.is_true(passes({}, { sender = "ann" }))
    assert.is_true(passes({ "skip-self", "skip-users", "require-sub" }, nil))
    assert.is_true(passes({ "skip-self", "skip-users", "require-sub" }, {}))
    assert.is_true(passes({ "unknown" }, { sender = "ann" }))
    assert.is_nil(Filters.set(nil, "news", {}))
  end)

  it("leave out the sender", function()
    assert.is_false(passes({ "skip-self" }, { sender = "ann" }))
    assert.is_true(passes({ "skip-self" }, { sender = "bob" }))
    assert.is_true(passes({ "skip-self" }, { sender = "ann" }, { topic = "other" }))
  end)

  it("leave out users of a list", function()
    assert.is_false(passes({ "skip-users" }, { skip_users = "bob, ann" }))
    assert.is_true(passes({ "skip-users" }, { skip_users = "anna,bob,an" }))
    assert.is_true(passes({ "skip-users" }, { skip_users = "" }))
  end)

  it("leave out those without another subscription", function()
    assert.is_false(passes({ "require-sub" }, { require_sub = "gold" }))
    assert.is_true(passes({ "require-sub" }, { require_sub = "gold" }, { topics = { "gold", gold = 1 } }))
    assert.is_false(passes({ "unknown", "skip-self", "require-sub" }, { require_sub = "gold", sender = "bob" }))
  end)

  it("end with the subscription", function()
    local of = Filters.set(Filters.set(nil, "news", { "skip-self" }), "news", {})
    assert.are.same({ meta = {}, topics = {} }, of)
  end)
end)
