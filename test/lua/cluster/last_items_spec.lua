local Stub = require "support.ngx"
local Dictionary = require "support.dictionary"

describe("the last items of channels", function()
  local LastItems

  before_each(function()
    Stub.now = 0
    rawset(ngx.shared, "seen", Dictionary.new())
    package.loaded["framegate.cluster.last_items"] = nil
    LastItems = require "framegate.cluster.last_items"
  end)

  local function is_early(id, previous) return LastItems.is_early { channel = "news", id = id, previous = previous } end

  it("let an item wait whose predecessor is another one, and no item where none is known", function()
    assert.is_false(is_early("3", "2"))
    LastItems.note("news", "1")
    assert.is_true(is_early("3", "2"))
    assert.is_true(is_early(nil, "2"))
    assert.is_false(is_early("2", "1"))
    assert.is_false(is_early "9")
    assert.is_false(LastItems.is_early { channel = "sport", id = "3", previous = "2" })
    LastItems.forget "news"
    assert.is_false(is_early("3", "2"))
  end)

  it("do not change when an item is repeated, and a repeat does not wait", function()
    LastItems.note("news", "1")
    LastItems.note("news", "2")
    LastItems.note("news", "1")
    assert.is_false(is_early("3", "2"))
    assert.is_false(is_early("1", "0"))
  end)

  it("do not go back to an item whose follower has come from another node", function()
    LastItems.note("news", "2", "1")
    LastItems.note("news", "1")
    assert.is_false(is_early("3", "2"))
  end)

  it("are known for 60 s", function()
    LastItems.note("news", "1")
    Stub.now = 61
    assert.is_false(is_early("3", "2"))
  end)
end)
