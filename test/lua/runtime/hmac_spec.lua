local Hmac = require "framegate.runtime.hmac"

local function hex(digest)
  return (digest:gsub(".", function(character) return ("%02x"):format(character:byte()) end))
end

local function digest(hmac, ...)
  hmac:start()
  for _, piece in ipairs { ... } do
    hmac:add(piece)
  end
  return hex(hmac:finish())
end

-- The test cases 1 to 3 and 6 of RFC 4231 section 4.
local CASES = {
  { ("\11"):rep(20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
  { "Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
  { ("\170"):rep(20), ("\221"):rep(50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
  {
    ("\170"):rep(131),
    "Test Using Larger Than Block-Size Key - Hash Key First",
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
  },
}

describe("an HMAC", function()
  it("is that of RFC 4231", function()
    for _, case in ipairs(CASES) do
      assert.are.equal(case[3], digest(Hmac.new(case[1]), case[2]))
    end
  end)

  it("is the same of pieces, and of each message after others", function()
    local hmac, other = Hmac.new "Jefe", Hmac.new "other"
    for _ = 1, 3 do
      assert.are.equal(CASES[2][3], digest(hmac, "what do ya ", "", "want for nothing?"))
      assert.are_not.equal(CASES[2][3], digest(other, "what do ya want for nothing?"))
    end
  end)

  it("covers every byte, zeros too", function()
    local hmac = Hmac.new "key"
    assert.are_not.equal(digest(hmac, "a\0b"), digest(hmac, "a\0c"))
  end)
end)
