local ReservedHeaders = require "framegate.protocol.reserved_headers"

describe("a reserved header", function()
  local is_reserved = ReservedHeaders.with({ "accept" }, { "^meta%-" })

  it("belongs to one connection, to the request of an event, or to the gateway", function()
    for _, name in ipairs { "host", "connection", "te", "proxy", "forwarded", "ce-id", "content-type", "x-forwarded-for" } do
      assert.is_true(is_reserved(name), name)
    end
    assert.is_false(is_reserved "cookie")
    assert.is_false(is_reserved "x-content-type")
  end)

  it("is also what a dialect adds", function()
    assert.is_true(is_reserved "accept")
    assert.is_true(is_reserved "meta-user")
    assert.is_false(ReservedHeaders.with({}, {}) "accept")
  end)

  it("is the same with _ and . in place of -", function()
    assert.is_true(is_reserved "x_forwarded_for")
    assert.is_true(is_reserved "keep.alive")
  end)
end)
