local MediaType = require "framegate.protocol.media_type"

describe("media type", function()
  it("says what a body is", function()
    local kinds = {
      ["text/plain"] = "text",
      ["TEXT/HTML; charset=utf-8"] = "text",
      ["application/json"] = "text",
      ["application/json ; charset=utf-8"] = "text",
      ["application/problem+json"] = "text",
      ["application/jsonp"] = "binary",
      ["application/octet-stream"] = "binary",
      ["image/png"] = "binary",
      [""] = "binary",
      ["application/vnd.framegate.effects+json"] = "document",
      ["Application/vnd.Framegate.effects+json; charset=utf-8"] = "document",
    }
    for _ = 1, 2 do
      for content_type, kind in pairs(kinds) do
        assert.are.equal(kind, MediaType.kind(content_type), content_type)
      end
    end
  end)

  it("goes on when there are more content types than it remembers", function()
    for i = 1, 1000 do
      assert.are.equal("text", MediaType.kind("text/x-" .. i))
      assert.are.equal("binary", MediaType.kind("image/x-" .. i))
    end
  end)
end)
