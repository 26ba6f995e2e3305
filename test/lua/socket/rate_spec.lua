local Stub = require "support.ngx"
local Worker = require "support.worker"
local Rate = require "framegate.socket.rate"

describe("a rate", function()
  before_each(Worker.new)

  it("lets a second's worth pass, and then says when the next may", function()
    for _ = 1, 5 do
      assert.is_nil(Rate.take("a", 5))
    end
    assert.is_near(0.2, Rate.take("a", 5), 0.01)
    Stub.now = Stub.now + 0.2
    assert.is_nil(Rate.take("a", 5))
    assert.is_near(0.2, Rate.take("a", 5), 0.01)
    Stub.now = Stub.now + 60
    for _ = 1, 5 do
      assert.is_nil(Rate.take("a", 5))
    end
    assert.is_truthy(Rate.take("a", 5))
  end)

  it("counts addresses and rates apart", function()
    assert.is_nil(Rate.take("a", 1))
    assert.is_truthy(Rate.take("a", 1))
    assert.is_nil(Rate.take("b", 1))
    assert.is_nil(Rate.take("a", 2))
  end)

  it("below one a second lets one pass", function()
    assert.is_nil(Rate.take("a", 0.5))
    assert.is_near(2, Rate.take("a", 0.5), 0.01)
    Stub.now = Stub.now + 2
    assert.is_nil(Rate.take("a", 0.5))
  end)
end)
