require "support.ngx"
local Answer = require "framegate.dispatch.answer"
local Config = require "framegate.config"

describe("what a handler answered", function()
  local saved

  before_each(function()
    saved = rawget(Config, "MAX_ANSWER_BYTES")
    rawset(Config, "MAX_ANSWER_BYTES", 10)
    rawset(ngx, "time", function() return 1000 end)
    rawset(ngx, "parse_http_time", function(text) return ({ later = 1005, before = 900 })[text] end)
  end)

  after_each(function() rawset(Config, "MAX_ANSWER_BYTES", saved) end)

  local function read(status, headers, body)
    return Answer.read { status = status, headers = headers or {}, body = body or "" }
  end

  it("is the answer", function()
    local answer = read(404, { a = "b" }, "0123456789")
    assert.are.same({ status = 404, headers = { a = "b" }, body = "0123456789" }, answer)
  end)

  it("may be that it is closing, for seconds or until a time (RFC 9110 section 10.2.3)", function()
    for value, seconds in pairs { ["0"] = 0, ["3"] = 3, later = 5, before = 0 } do
      local answer = read(503, { ["retry-after"] = value })
      assert.are.same({ "closing", seconds }, { answer.failure, answer.retry_after })
    end
    assert.are.equal(3, read(503, { ["retry-after"] = { "3", "4" } }).retry_after)
    for _, value in ipairs { "soon", "-1", "1e999", "0x10" } do
      local answer = read(503, { ["retry-after"] = value })
      assert.are.same({ "closing", nil }, { answer.failure, answer.retry_after })
    end
    assert.is_nil(read(503).failure)
  end)

  it(
    "may be that the headers of the event are too large",
    function() assert.are.equal("refused", read(431).failure) end
  )

  it("may not be understood, or be too large", function()
    local wrong = read(2000)
    assert.are.same({ "malformed", 502 }, { wrong.failure, wrong.error.status })
    assert.are.equal(
      "the handler's answer could not be understood: its status is not a number from 200 to 599",
      wrong.error.message
    )
    local large = read(200, {}, "01234567890")
    assert.are.equal("malformed", large.failure)
    assert.matches("larger than 10 bytes %(MAX_ANSWER_BYTES%)", large.error.message)
  end)

  local function frame_of(headers, body)
    read(200, headers, body) -- the first answer of a kind is the one that is checked
    return read(200, headers, body).frame
  end

  it("is known to be a frame when it has a content type and nothing else", function()
    assert.are.equal("text", frame_of({ ["content-type"] = "text/plain" }, "hi"))
    assert.are.equal("text", frame_of({ ["Content-Type"] = "application/json" }, "{}"))
    assert.are.equal("binary", frame_of({ ["content-type"] = "image/png" }, "\255"))
  end)

  it("is not known to be one when it may ask for more, or its body is none", function()
    assert.is_nil(frame_of({}, "hi"))
    assert.is_nil(frame_of({ ["content-type"] = "text/plain", ["ws-close"] = "4000" }, "hi"))
    assert.is_nil(frame_of({ ["content-type"] = "text/plain", etag = "1" }, "hi"))
    assert.is_nil(frame_of({ ["content-type"] = { "text/plain" } }, "hi"))
    assert.is_nil(frame_of({ ["content-type"] = "application/vnd.framegate.effects+json" }, "{}"))
    assert.is_nil(frame_of({ ["content-type"] = "text/plain" }, ""))
    assert.is_nil(frame_of({ ["content-type"] = "text/plain" }, "\255"))
  end)

  it("is checked however often its headers came before", function()
    local headers = { ["content-type"] = "text/plain" }
    frame_of(headers, "hi")
    assert.are.equal("malformed", read(2000, headers, "hi").failure)
    assert.are.equal("malformed", Answer.read({ status = 200, headers = headers, body = false }).failure)
    assert.are.equal("malformed", read(200, headers, "01234567890").failure)
    assert.are.equal("refused", read(431, headers, "hi").failure)
    for _ = 1, 2 do
      assert.are.equal("malformed", read(200, { ["content-type"] = "text/\1" }, "hi").failure)
    end
  end)

  it("is known after any number of content types", function()
    for i = 1, 250 do
      assert.are.equal("text", frame_of({ ["content-type"] = "text/" .. i }, "hi"))
    end
  end)
end)
