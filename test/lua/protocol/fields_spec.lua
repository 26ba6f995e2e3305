local Fields = require "framegate.protocol.fields"

describe("header fields", function()
  it(
    "have no white space around their values",
    function()
      assert.are.same(
        { a = "1", b = "x\ty", c = { "1", "2" }, d = "", e = true },
        Fields.trim { a = "\t1 \t", b = " x\ty", c = { "\t1", "2 " }, d = " \t", e = true }
      )
    end
  )

  it("are named by tokens", function()
    for _, name in ipairs { "a", "api_key", "x.y", "!#$%&'*+-.^_`|~09AZ" } do
      assert.is_true(Fields.is_token(name), name)
    end
    for _, name in ipairs { "", "a b", "a(b)", "a:", "a\tb", "a/b", "é", "a\n" } do
      assert.is_false(Fields.is_token(name), name)
    end
  end)
end)
