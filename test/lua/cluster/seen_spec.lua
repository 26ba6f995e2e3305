local Stub = require "support.ngx"
local Dictionary = require "support.dictionary"
local Seen = require "framegate.cluster.seen"

describe("the ids of requests that were run", function()
  local dict, living

  before_each(function()
    Stub.now, dict, living = 0, Dictionary.new(), { one = true, two = true }
  end)

  local function seen(own)
    return Seen.new { dict = dict, own = own, is_living = function(worker) return living[worker] end }
  end

  it("are claimed once by all workers, and then have the first answer", function()
    assert.is_true(seen("one"):claim "id")
    assert.are.same({ false }, { seen("two"):claim "id" })
    seen("one"):keep("id", { results = {} })
    assert.are.same({ false, '{"results":{}}' }, { seen("two"):claim "id" })
  end)

  it("are claimed again when the socket of the request had no room", function()
    local one = seen "one"
    one:claim "id"
    one:keep("id", { results = { { delivered = 0, dropped = 1, is_undone = true } } })
    assert.is_true(one:claim "id")
  end)

  it("are forgotten after 60 s, or when they were not run", function()
    local one = seen "one"
    one:claim "a"
    one:claim "b"
    one:release "b"
    assert.is_true(one:claim "b")
    Stub.now = 61
    assert.is_true(one:claim "a")
  end)

  it("have an unknown answer when the worker that ran them was killed", function()
    seen("one"):claim "id"
    living.one = nil
    local is_new, answer = seen("two"):claim "id"
    assert.is_false(is_new)
    assert.are.equal('{"results":{},"is_incomplete":true}', answer)
  end)
end)
