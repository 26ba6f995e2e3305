require "support.ngx"
local Random = require "framegate.runtime.random"

describe("random", function()
  it("gives names of base64url that no command line takes for an option", function()
    local seen, count = {}, 0
    for _ = 1, 5000 do
      local name = Random.name(4)
      assert.matches("^[%w_][%w_-][%w_-][%w_-]$", name)
      seen[name:sub(2, 2)] = true
    end
    for _ in pairs(seen) do
      count = count + 1
    end
    assert.are.equal(64, count)
  end)

  it("gives names of any length", function()
    for length = 1, 40 do
      assert.are.equal(length, #Random.name(length))
    end
  end)
end)
