local Traceparent = require "framegate.protocol.traceparent"

local TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

local function with(version, flags, more) return version .. "-" .. TRACE .. "-" .. SPAN .. "-" .. flags .. (more or "") end

describe("a traceparent", function()
  it("has a trace, a span and a flag", function()
    assert.are.same({ trace_id = TRACE, span_id = SPAN, is_sampled = true }, Traceparent.read(with("00", "01")))
    assert.is_false(Traceparent.read(with("00", "00")).is_sampled)
    assert.is_false(Traceparent.read(with("00", "02")).is_sampled)
    assert.is_true(Traceparent.read(with("00", "ff")).is_sampled)
  end)

  it("of a newer version may have more behind it", function()
    assert.are.equal(TRACE, Traceparent.read(with("01", "01")).trace_id)
    assert.are.equal(TRACE, Traceparent.read(with("cc", "01", "-what-ever")).trace_id)
    assert.is_nil(Traceparent.read(with("cc", "01", ".more")))
  end)

  it("that is not valid is none", function()
    local zeros = ("0"):rep(32)
    for _, text in ipairs {
      "",
      "nonsense",
      with("ff", "01"),
      with("00", "01", "-more"),
      with("00", "01", ", " .. with("00", "01")),
      with("00", "1"),
      with("0", "01"),
      with("00", "01"):upper(),
      " " .. with("00", "01"),
      "00-" .. zeros .. "-" .. SPAN .. "-01",
      "00-" .. TRACE .. "-" .. zeros:sub(1, 16) .. "-01",
      "00-" .. TRACE .. "-" .. SPAN:sub(2) .. "g-01",
    } do
      assert.is_nil(Traceparent.read(text), text)
    end
    assert.is_nil(Traceparent.read(nil))
  end)
end)
