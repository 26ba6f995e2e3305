local FastCgi = require "framegate.protocol.fastcgi"

local function hex(text)
  return (text:gsub(".", function(c) return ("%02x "):format(c:byte()) end):gsub(" $", ""))
end

local function bytes(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(c) return string.char(tonumber(c, 16)) end))
end

local function request(body, is_kept)
  return table.concat(FastCgi.request { params = { FastCgi.pair("A", "b") }, body = body, is_kept = is_kept })
end

-- Every record of a stream of this type: content lengths and paddings.
local function lengths(text, type)
  local found, at = {}, 1
  while at <= #text do
    local _, kind, _, _, high, low, padding = text:byte(at, at + 6)
    local length = high * 256 + low
    if kind == type then
      found[#found + 1] = length .. "+" .. padding
    end
    at = at + 8 + length + padding
  end
  return found
end

-- Examples of the specification, appendix B, and its sections 3.3 to 3.5.
describe("records of FastCGI", function()
  it("are written as the specification has them", function()
    local expected = "01 01 00 01 00 08 00 00 00 01 %s 00 00 00 00 00 " -- begin: the role of a responder
      .. "01 04 00 01 00 04 00 00 01 01 41 62 01 04 00 01 00 00 00 00 " -- the parameter A=b, and their end
      .. "01 05 00 01 00 05 03 00 68 65 6c 6c 6f 00 00 00 01 05 00 01 00 00 00 00" -- hello, padded, and its end
    assert.are.equal(expected:format "00", hex(request("hello", false)))
    assert.are.equal(expected:format "01", hex(request("hello", true)))
  end)

  it("have lengths of one byte, or of four", function()
    assert.are.equal("00 00", hex(FastCgi.pair("", "")))
    assert.are.equal("01 7f", hex(FastCgi.pair("a", ("b"):rep(127)):sub(1, 2)))
    assert.are.equal("01 80 00 00 80 61", hex(FastCgi.pair("a", ("b"):rep(128)):sub(1, 6)))
    assert.are.equal("80 01 00 00 00", hex(FastCgi.pair(("a"):rep(65536), ""):sub(1, 5)))
  end)

  it("divide a body that is larger than one record", function()
    for length, expected in pairs {
      [0] = { "0+0" },
      [1] = { "1+7", "0+0" },
      [65528] = { "65528+0", "0+0" },
      [65529] = { "65528+0", "1+7", "0+0" },
      [131064] = { "65528+0", "65528+0", "8+0", "0+0" },
    } do
      assert.are.same(expected, lengths(request(("x"):rep(length)), 5))
    end
  end)

  it("are read one after the other, when they are complete", function()
    local stdout = bytes "01 06 00 01 00 02 06 00 68 69 00 00 00 00 00 00"
    for length = 0, #stdout - 1 do
      assert.is_nil((FastCgi.next(stdout:sub(1, length))))
    end
    assert.are.same({ 16, "stdout", "hi" }, { FastCgi.next(stdout .. "more") })
    assert.are.same({ 10, "stderr", "hi" }, { FastCgi.next(bytes "01 07 00 01 00 02 00 00 68 69") })
    assert.are.same({ 8, "other", "" }, { FastCgi.next(bytes "01 0b 00 00 00 00 00 00") })
  end)

  it("end a request in one of three ways", function()
    local ending = "01 03 00 01 00 08 00 00 00 00 00 ff %s 00 00 00"
    for status, expected in pairs { ["00"] = "complete", ["01"] = "refused", ["02"] = "overloaded", ["03"] = "refused" } do
      assert.are.same({ 16, "end", expected }, { FastCgi.next(bytes(ending:format(status))) })
    end
  end)

  it("are garbled if they are of another version, or too short", function()
    assert.is_true(select(4, FastCgi.next "HTTP/1.1 400"))
    assert.is_true(select(4, FastCgi.next "\2"))
    assert.is_true(select(4, FastCgi.next(bytes "01 03 00 01 00 04 00 00 00 00 00 00")))
  end)
end)
