local Percent = require "framegate.protocol.percent"

describe("percent-encoding, as CloudEvents has it (HTTP binding, section 3.1.3.2)", function()
  it("encodes the example of the specification", function()
    assert.are.equal("Euro%20%E2%82%AC%20%F0%9F%98%80", Percent.encode("Euro \226\130\172 \240\159\152\128"))
    assert.are.equal("Euro \226\130\172 \240\159\152\128", Percent.decode("Euro%20%E2%82%AC%20%F0%9F%98%80"))
  end)

  it("encodes space, quote, percent and all but printable ASCII, and nothing else", function()
    for code = 0, 255 do
      local character = string.char(code)
      local is_plain = code > 0x20 and code < 0x7F and character ~= '"' and character ~= "%"
      assert.are.equal(is_plain and character or ("%%%02X"):format(code), Percent.encode(character), code)
    end
  end)

  it(
    "leaves no byte that could end a header or begin another",
    function() assert.are.equal("a%0D%0Ax-evil:%20yes", Percent.encode("a\r\nx-evil: yes")) end
  )

  it("decodes what it encoded, whatever it is", function()
    math.randomseed(3986)
    for _ = 1, 500 do
      local bytes = {}
      for i = 1, math.random(0, 40) do
        bytes[i] = string.char(math.random(0, 255))
      end
      local text = table.concat(bytes)
      assert.are.equal(text, Percent.decode(Percent.encode(text)))
    end
  end)

  it("decodes digits in either case, and characters that need not have been encoded", function()
    assert.are.equal("\226\130\172", Percent.decode("%e2%82%Ac"))
    assert.are.equal("A,b", Percent.decode("%41%2C%62"))
    assert.are.equal("", Percent.decode(""))
  end)

  it("decodes once", function() assert.are.equal("%41", Percent.decode("%2541")) end)

  it("leaves a percent sign as it is that no two digits follow", function()
    for _, text in ipairs { "%", "100%", "%4", "%zz", "%4g", "%%", "% 41", "a%b%" } do
      assert.are.equal(text, Percent.decode(text))
    end
    assert.are.equal("%A", Percent.decode("%%41"))
    assert.are.equal("100% \195\177", Percent.decode("100% %C3%B1"))
  end)

  it("gives one value back", function()
    assert.are.equal(1, select("#", Percent.encode("a b")))
    assert.are.equal(1, select("#", Percent.decode("a%20b")))
  end)
end)
