require "support.ngx"
local Options = require "framegate.socket.options"

describe("options", function()
  it("that are equal are one table", function()
    local wanted = { rate = 2, closes_on_overflow = true, takes_batches = true, text_mode = "json", is_cached = false }
    local options = Options.of(wanted)
    assert.are.same(wanted, options)
    assert.are.equal(
      options,
      Options.of { rate = 2, closes_on_overflow = true, takes_batches = true, text_mode = "json" }
    )
    assert.are.equal(Options.NONE, Options.of {})
  end)

  it("that differ in one are not", function()
    local all = { rate = 2, closes_on_overflow = true, takes_batches = true, text_mode = "json" }
    local seen = { [Options.of(all)] = true }
    for name, other in pairs {
      rate = 3,
      closes_on_overflow = false,
      takes_batches = false,
      text_mode = "form",
      is_cached = true,
      protocol = "grip",
      handler = "grip",
    } do
      local wanted = {}
      for key, value in pairs(all) do
        wanted[key] = value
      end
      wanted[name] = other
      local options = Options.of(wanted)
      assert.is_nil(seen[options], name)
      seen[options] = true
    end
  end)

  it("know three ways to read a text, and none for any other word of a handler", function()
    for _, word in ipairs { "text", "json", "form" } do
      assert.are.equal(word, Options.of({ text_mode = word }).text_mode)
    end
    for _, word in ipairs { "xml", "JSON", { "text", "json" } } do
      assert.are.equal(Options.NONE, Options.of { text_mode = word })
    end
  end)

  it("lose their batches and nothing else", function()
    local wanted = { rate = 1, closes_on_overflow = true, text_mode = "text", protocol = "grip", handler = "http://a" }
    local others = Options.of(wanted)
    wanted.takes_batches = true
    assert.are.equal(others, Options.without_batches(Options.of(wanted)))
  end)
end)
