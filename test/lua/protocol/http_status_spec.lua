local HttpStatus = require "framegate.protocol.http_status"

describe("the body of an error", function()
  it(
    "has the reason phrase of its status",
    function()
      assert.are.equal(
        '{"statusCode":502,"error":"Bad Gateway","message":"a \\"message\\""}',
        HttpStatus.error_body { status = 502, message = 'a "message"' }
      )
    end
  )

  it("may have a name of its own, the event's id and when to come back", function()
    assert.are.equal(
      '{"statusCode":500,"error":"Error","message":"m","id":"a\\/1"}',
      HttpStatus.error_body { status = 500, name = "Error", message = "m", id = "a/1" }
    )
    assert.are.equal(
      '{"statusCode":429,"error":"Too Many Requests","message":"m","retryAfter":0.496}',
      HttpStatus.error_body { status = 429, message = "m", retry_after = 0.4961 }
    )
  end)
end)
