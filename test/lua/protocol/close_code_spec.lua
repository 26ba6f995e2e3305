local CloseCode = require "framegate.protocol.close_code"
local Utf8 = require "framegate.protocol.utf8"

-- Codes of the IANA registry that may go over the wire; 1004 is reserved, 1005, 1006 and 1015 only ever name what did not come.
local REGISTERED = {
  [1000] = true,
  [1001] = true,
  [1002] = true,
  [1003] = true,
  [1007] = true,
  [1008] = true,
  [1009] = true,
  [1010] = true,
  [1011] = true,
  [1012] = true,
  [1013] = true,
  [1014] = true,
}

local function payload(code, reason) return string.char(math.floor(code / 256), code % 256) .. (reason or "") end

describe("a close code", function()
  it("may be received when it is registered, or for applications (R18)", function()
    for code = 0, 5100 do
      assert.are.equal(REGISTERED[code] or (code >= 3000 and code <= 4999), CloseCode.is_receivable(code), code)
    end
    assert.is_false(CloseCode.is_receivable(65535))
  end)

  it("may be sent by a handler when a browser could send it", function()
    for code = 0, 5100 do
      assert.are.equal(code == 1000 or (code >= 3000 and code <= 4999), CloseCode.is_sendable(code), code)
    end
    for _, code in ipairs { 4000.5, -1, 65535, 1 / 0, 0 / 0 } do
      assert.is_false(CloseCode.is_sendable(code))
    end
  end)

  it("has a name where the gateway itself sends it", function()
    for _, name in ipairs {
      "NORMAL",
      "GOING_AWAY",
      "PROTOCOL_ERROR",
      "INVALID_DATA",
      "POLICY_VIOLATION",
      "TOO_BIG",
      "INTERNAL_ERROR",
      "SERVICE_RESTART",
      "TRY_AGAIN_LATER",
    } do
      assert.is_true(CloseCode.is_receivable(CloseCode[name]), name)
    end
    assert.is_false(CloseCode.is_receivable(CloseCode.NO_STATUS))
    assert.is_false(CloseCode.is_receivable(CloseCode.ABNORMAL))
  end)
end)

describe("the payload of a close frame", function()
  it("is empty without a code", function()
    assert.are.equal("", CloseCode.payload())
    assert.are.equal("", CloseCode.payload(nil, "no reason without a code"))
  end)

  it("is the code, most significant byte first, and the reason", function()
    assert.are.equal("\3\232", CloseCode.payload(1000))
    assert.are.equal("\3\232", CloseCode.payload(1000, ""))
    assert.are.equal("\15\161sign in", CloseCode.payload(4001, "sign in"))
    assert.are.equal("\19\135", CloseCode.payload(4999))
  end)

  it("has 125 bytes at the most", function()
    assert.are.equal(125, #CloseCode.payload(1000, ("a"):rep(123)))
    assert.are.equal(125, #CloseCode.payload(1000, ("a"):rep(124)))
    assert.are.equal(125, #CloseCode.payload(1000, ("a"):rep(100000)))
  end)

  it("cuts a reason between characters, and no more of it than it must", function()
    for _, character in ipairs { "\195\177", "\226\130\172", "\240\159\152\128" } do
      for before = 110, 126 do
        local reason = ("a"):rep(before) .. character:rep(5) .. "end"
        local cut = CloseCode.payload(1000, reason):sub(3)
        assert.is_true(#cut <= 123)
        assert.is_true(Utf8.is_valid(cut))
        assert.are.equal(reason:sub(1, #cut), cut)
        assert.is_true(#cut == #reason or #cut > 123 - #character or #cut == 123)
      end
    end
  end)

  it("ends before what is not UTF-8", function()
    assert.are.equal("\3\232good", CloseCode.payload(1000, "good\255bad"))
    assert.are.equal("\3\232", CloseCode.payload(1000, "\255"))
    assert.are.equal("\3\232cut", CloseCode.payload(1000, "cut\226\130"))
  end)
end)

describe("reading a close frame", function()
  it(
    "without a payload is fine (R17)",
    function() assert.are.same({ CloseCode.NO_STATUS, "" }, { CloseCode.read("") }) end
  )

  it("with one byte is not", function()
    for byte = 0, 255 do
      local code, failure, words = CloseCode.read(string.char(byte))
      assert.is_nil(code)
      assert.are.equal(1002, failure)
      assert.is_string(words)
    end
  end)

  it("gives code and reason", function()
    assert.are.same({ 1000, "" }, { CloseCode.read("\3\232") })
    assert.are.same({ 4321, "gr\195\188\195\159e" }, { CloseCode.read(payload(4321, "gr\195\188\195\159e")) })
    assert.are.same({ 1001, ("a"):rep(123) }, { CloseCode.read(payload(1001, ("a"):rep(123))) })
  end)

  it("refuses each code that may not be sent with 1002", function()
    for _, code in ipairs { 0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535 } do
      local got, failure, words = CloseCode.read(payload(code, "reason"))
      assert.is_nil(got)
      assert.are.equal(1002, failure)
      assert.matches(tostring(code), words, 1, true)
    end
  end)

  it("refuses a reason that is not UTF-8 with 1007 (R19)", function()
    for _, reason in ipairs {
      "\255",
      "ok\206\186\225\189\185\207\131\206\188\206\181\237\160\128edited",
      "ends inside \226\130",
    } do
      local got, failure = CloseCode.read(payload(1000, reason))
      assert.is_nil(got)
      assert.are.equal(1007, failure)
    end
  end)

  it("reads what the gateway writes", function()
    assert.are.same({ 4000, "a reason" }, { CloseCode.read(CloseCode.payload(4000, "a reason")) })
    assert.are.same({ CloseCode.NO_STATUS, "" }, { CloseCode.read(CloseCode.payload()) })
  end)
end)
