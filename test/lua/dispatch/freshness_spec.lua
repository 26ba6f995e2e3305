require "support.ngx"
local Freshness = require "framegate.dispatch.freshness"

local function answer(cache_control, changes)
  local made =
    { status = 200, headers = { ["content-type"] = "text/plain", ["cache-control"] = cache_control }, body = "x" }
  for name, value in pairs(changes or {}) do
    if name == "headers" then
      for header, text in pairs(value) do
        made.headers[header] = text
      end
    else
      made[name] = value
    end
  end
  return made
end

local function seconds(cache_control, headers)
  local kept = Freshness.read(answer(cache_control, { headers = headers }))
  return kept and kept.seconds
end

describe("the freshness of an answer", function()
  it("is the time that a shared cache may keep it", function()
    assert.are.equal(5, seconds "public, max-age=5")
    assert.are.equal(5, seconds "MAX-AGE=5,PUBLIC")
    assert.are.equal(5, seconds 'public, max-age="5"')
    assert.are.equal(7, seconds "public, s-maxage=7, max-age=5")
    assert.are.equal(5, seconds { "public", "max-age=5" })
    assert.are.equal(5, seconds 'public, max-age=9, max-age=5, ext="a, private"')
    assert.are.equal(2, seconds("public, max-age=5", { age = "3" }))
    assert.are.equal(31536000, seconds "public, max-age=99999999999999999999")
  end)

  it("is none without that, or if something forbids it", function()
    for _, value in ipairs {
      "max-age=5",
      "public",
      "public, max-age=0",
      "public, max-age=-1",
      "public, max-age=soon",
      "public, max-age",
      "public, max-age=5, s-maxage=0",
      "public, max-age=5, private",
      'public, max-age=5, private="x"',
      "public, max-age=5, no-store",
      "public, max-age=5, no-cache",
      "x-public=1, max-age=5",
    } do
      assert.is_nil(seconds(value), value)
    end
    assert.is_nil(seconds(nil))
    assert.is_nil(seconds("public, max-age=5", { age = "5" }))
  end)

  it("is none for an answer that asks for more than frames", function()
    for name, value in pairs {
      ["set-cookie"] = "a=b",
      ["ws-state"] = "x",
      ["ws-user"] = "ann",
      ["ws-subscribe"] = "news",
      ["ws-unsubscribe"] = "news",
      ["ws-alarm"] = "5",
      ["ws-close"] = "4000",
      vary = "*",
    } do
      assert.is_nil(seconds("public, max-age=5", { [name] = value }), name)
    end
    for _, status in ipairs { 301, 304, 400, 404, 500, 503 } do
      assert.is_nil(Freshness.read(answer("public, max-age=5", { status = status })))
    end
    assert.is_nil(Freshness.read(answer("public, max-age=5", { failure = "timeout" })))
    assert.is_nil(Freshness.read(answer("public, max-age=5", { body = "\255" })))
    for _, effect in ipairs { '{"publish":{"topic":"a","text":"b"}}', '{"state":"x"}' } do
      local document = {
        body = '{"effects":[{"send":{"text":"a"}},' .. effect .. "]}",
        headers = { ["content-type"] = "application/vnd.framegate.effects+json" },
      }
      assert.is_nil(Freshness.read(answer("public, max-age=5", document)))
    end
  end)

  it("comes with its frames, and the headers on which it depends", function()
    local kept = Freshness.read(answer("public, max-age=5", {
      body = '{"effects":[{"send":{"text":"a"}},{"send":{"base64":"Yg=="}}]}',
      headers = {
        ["content-type"] = "application/vnd.framegate.effects+json",
        vary = { "Origin", "accept-language, cookie" },
      },
    }))
    assert.are.same({ "accept-language", "cookie", "origin" }, kept.vary)
    assert.are.same(
      { { kind = "send", payload = "a", is_text = true }, { kind = "send", payload = "b", is_text = false } },
      kept.frames
    )
    assert.are.same({}, Freshness.read(answer("public, max-age=5", { body = "", status = 204 })).frames)
  end)
end)
