local Hmac = require "framegate.runtime.hmac"
local Sigv4 = require "framegate.protocol.sigv4"

local function hex(bytes)
  return (bytes:gsub(".", function(character) return ("%02x"):format(character:byte()) end))
end

local EMPTY = hex(Hmac.sha256 "")
local DATE = "20150830T123600Z"

local function canonical(changes, signed)
  local request = { method = "GET", target = "/", headers = { host = "example.amazonaws.com", ["x-amz-date"] = DATE } }
  for name, value in pairs(changes) do
    request[name] = value
  end
  request.body_hash = EMPTY
  return Sigv4.canonical(request, signed or { "host", "x-amz-date" })
end

local function line(number, text)
  local lines = {}
  for each in (text .. "\n"):gmatch "([^\n]*)\n" do
    lines[#lines + 1] = each
  end
  return lines[number]
end

describe("Signature Version 4", function()
  it("is that of get-vanilla, in AWS' test suite", function()
    local claim = assert(
      Sigv4.read(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
          .. "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
      )
    )
    assert.are.equal("AKIDEXAMPLE", claim.key_id)
    local hash = hex(Hmac.sha256(canonical({}, claim.signed)))
    assert.are.equal("bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63", hash)
    local key = "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    for _, part in ipairs { claim.day, claim.region, claim.service, "aws4_request" } do
      key = Hmac.digest(key, part)
    end
    assert.are.equal(claim.signature, hex(Hmac.digest(key, Sigv4.to_sign(claim, DATE, hash))))
  end)

  it("encodes the sent path once more, and joins slashes", function()
    assert.are.equal("/prod/%40connections/e_%253D", line(2, canonical { target = "/prod/@connections/e_%3D" }))
    assert.are.equal("/prod/%2540connections/~a-b.c", line(2, canonical { target = "/prod//%40connections/~a-b.c" }))
  end)

  it("sorts parameters by name and value", function()
    local query = line(3, canonical { target = "/?b=2&a=%C3%A4&B=x+y&a=&b=1&c" })
    assert.are.equal("B=x%2By&a=&a=%C3%A4&b=1&b=2&c=", query)
  end)

  it("trims values, and joins those of one name", function()
    local headers = { a = " x   y ", b = { "1", " 2" }, c = "" }
    assert.are.equal(
      "a:x y\nb:1, 2\nc:\n\na;b;c",
      canonical({ headers = headers }, { "a", "b", "c" }):match "\n(a:.*)\n%x+$"
    )
    assert.is_nil(canonical({}, { "host", "missing" }))
  end)

  it("is not read from an incomplete header", function()
    local scope = "a/20150830/r/s/aws4_request"
    assert.is_table(Sigv4.read("AWS4-HMAC-SHA256 Credential=" .. scope .. ",SignedHeaders=host,Signature=0"))
    for _, text in ipairs {
      "",
      "Credential=" .. scope .. ", SignedHeaders=host",
      "Credential=" .. scope .. ", Signature=0",
      "Credential=a/2015/r/s/aws4_request, SignedHeaders=host, Signature=0",
      "Credential=a/20150830/r/s/aws3, SignedHeaders=host, Signature=0",
      "SignedHeaders=host, Signature=0",
    } do
      assert.is_nil(Sigv4.read("AWS4-HMAC-SHA256 " .. text))
    end
  end)

  it("has times that sort as texts do", function()
    assert.are.equal(DATE, Sigv4.format(1440938160))
    assert.is_true(Sigv4.is_date(DATE))
    for _, wrong in ipairs { "2015-08-30T12:36:00Z", "20150830T123600", "x" .. DATE, false } do
      assert.is_false(Sigv4.is_date(wrong))
    end
    assert.is_true(Sigv4.format(1440938160 - 86400) < DATE and DATE < Sigv4.format(1440938161))
  end)
end)
