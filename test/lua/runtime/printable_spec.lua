local Printable = require "framegate.runtime.printable"

describe("printable text", function()
  it("stays as it is", function()
    for _, text in ipairs { "", "plain", "Zoë €  🎉", "a\\nb" } do
      assert.are.equal(text, Printable.text(text))
    end
  end)

  it("has control characters escaped, and stays in its line", function()
    assert.are.equal("a\\nb\\r\\tc", Printable.text "a\nb\r\tc")
    assert.are.equal("\\x1B[31m\\x00\\x7F", Printable.text "\27[31m\0\127")
  end)

  it("has C1 escaped, as a character and as a byte", function()
    assert.are.equal("\\xC2\\x9B31m", Printable.text "\194\15531m")
    assert.are.equal("\\x9B31m", Printable.text "\15531m")
    assert.are.equal("\194\160 is no control", Printable.text "\194\160 is no control")
  end)

  it("has bytes escaped that are not UTF-8", function()
    assert.are.equal("\\xFF", Printable.text "\255")
    assert.are.equal("\\xE0\\x80\\x9B", Printable.text "\224\128\155", "overlong")
    assert.are.equal("ë\\xC3", Printable.text "ë\195")
    assert.are.equal("\\xED\\xA0\\x80", Printable.text "\237\160\128", "a surrogate")
    assert.are.equal("€\\x82🎉", Printable.text "€\130🎉")
  end)

  it("is cut when it is long", function()
    assert.are.equal("abc", Printable.cut("abc", 3))
    assert.are.equal("abc…", Printable.cut("abcd", 3))
  end)
end)
