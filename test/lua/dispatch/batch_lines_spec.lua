require "support.ngx"
local cjson = require "cjson.safe"
local BatchLines = require "framegate.dispatch.batch_lines"

describe("the lines of a batch's answer", function()
  local decoded

  before_each(function() decoded = spy.on(cjson, "decode") end)

  after_each(function() decoded:revert() end)

  it("are decoded all at once", function()
    local lines = '{"id":"a/1","status":200}\n{"id":"b/1","status":204}'
    assert.are.same({ { id = "a/1", status = 200 }, { id = "b/1", status = 204 } }, BatchLines.decode(lines))
    assert.spy(decoded).was.called(1)
    assert.are.same({ { id = "a/1" } }, BatchLines.decode('{"id":"a/1"}'))
    assert.spy(decoded).was.called(2)
  end)

  it(
    "are decoded one by one when one of them cannot be read",
    function()
      assert.are.same(
        { { id = "a/1" }, false, { id = "b/1" } },
        BatchLines.decode('{"id":"a/1"}\n{"id":\n\n{"id":"b/1"}')
      )
    end
  )
end)
