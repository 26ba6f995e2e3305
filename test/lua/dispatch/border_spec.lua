local cjson = require "cjson.safe"
local Border = require "framegate.dispatch.border"

local function defect(answer)
  local whole = { status = 200, headers = {}, body = "" }
  for name, value in pairs(answer) do
    whole[name] = value
  end
  return Border.defect_of(whole)
end

describe("the border", function()
  it("lets a right answer pass", function()
    assert.is_nil(
      defect { headers = { ["content-type"] = "text/plain", ["set-cookie"] = { "a=1", "b=2" } }, body = "x" }
    )
    assert.is_nil(defect { status = 599 })
  end)

  it("stops a status that is none", function()
    for _, status in ipairs { 0, 100, 101, 199, 600, 2000, -1, 200.7, 1 / 0, 0 / 0, "200", cjson.null, {} } do
      assert.matches("status", defect { status = status })
    end
  end)

  it("stops headers that are none", function()
    for _, headers in ipairs { "a", 1, cjson.null } do
      assert.matches("headers", defect { headers = headers })
    end
    for _, value in ipairs {
      true,
      cjson.null,
      { { "a" } },
      { "a", 1 },
      { name = "a" },
      "a\r\nset-cookie: b",
      "a\0",
      { "a\nb" },
    } do
      assert.matches("the header x is not a text", defect { headers = { X = value } })
    end
    for _, name in ipairs { "", "a b", "a:b", "a\r\n", 1 } do
      assert.matches("name of a header", defect { headers = { [name] = "x" } })
    end
  end)

  it("makes numbers texts, and names lower case", function()
    local answer = { status = 200, headers = { ["Retry-After"] = 5, ["X-A"] = { "b" }, c = "d" }, body = "" }
    assert.is_nil(Border.defect_of(answer))
    assert.are.same({ ["retry-after"] = "5", ["x-a"] = { "b" }, c = "d" }, answer.headers)
  end)

  it("stops a body that is no text, or is coded", function()
    for _, body in ipairs { 1, false, {}, cjson.null } do
      assert.matches("body", defect { body = body })
    end
    assert.is_nil(defect { headers = { ["content-encoding"] = "Identity" } })
    assert.matches("content%-encoding gzip", defect { headers = { ["content-encoding"] = "gzip" } })
    assert.matches("content%-encoding gzip, br", defect { headers = { ["content-encoding"] = { "gzip", "br" } } })
    assert.matches("content%-encoding that is unknown", defect { headers = { ["content-encoding"] = "<b>" } })
  end)
end)

describe("a list", function()
  it("has places from 1 without a gap", function()
    assert.is_true(Border.is_list {})
    assert.is_true(Border.is_list { "a", "b" })
    for _, value in ipairs { "a", { ["1"] = "a" }, { [2] = "a" }, { "a", b = 1 } } do
      assert.is_false(Border.is_list(value))
    end
  end)
end)
