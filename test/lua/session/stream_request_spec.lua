require "support.worker"

-- Every name differs from the ones before.
local count = 0
package.loaded["framegate.runtime.random"] = {
  name = function(length)
    count = count + 1
    return ("%0" .. length .. "d"):format(count)
  end,
}
package.loaded["framegate.session.request"] = nil
local Request = require "framegate.session.request"

describe("what the client of an event stream wants", function()
  local TOKEN, OTHER = ("t"):rep(32), ("o"):rep(32)

  it("is what its Last-Event-ID names, and then the URL", function()
    local expected = { key = TOKEN, is_new = false, received = 7 }
    assert.are.same(expected, Request.of_stream(TOKEN .. ".7", OTHER .. ".3"))
    expected = { key = OTHER, is_new = false, received = 3 }
    for _, id in ipairs { "", "7", "x.7", TOKEN, "new." .. TOKEN, TOKEN .. ".7.8", { TOKEN .. ".7", TOKEN .. ".8" } } do
      assert.are.same(expected, Request.of_stream(id, OTHER .. ".3"))
    end
    assert.are.same({ key = OTHER, is_new = true, received = 0 }, Request.of_stream(nil, "new." .. OTHER))
    assert.is_nil(Request.of_stream(nil, "nonsense"))
  end)

  it("is a new session that nobody else has, without both", function()
    local first, second = Request.of_stream(), Request.of_stream "7"
    assert.is_true(first.is_new and second.is_new and first.is_own and first.key ~= second.key)
    assert.are.equal(22, #first.key)
  end)
end)
