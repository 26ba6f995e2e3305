local Stub = require "support.ngx"
local Feed = require "framegate.push.feed"

describe("a feed", function()
  local stored, delivered, skips

  before_each(function()
    Stub.now = 100
    stored, delivered, skips = {}, {}, {}
  end)

  local function feed(last)
    return Feed.new {
      topic = "t",
      id = 1,
      last = last or 0,
      read = function(_, offset) return stored[offset] and { payload = stored[offset], is_text = true } end,
      deliver = function(args, payload)
        delivered[#delivered + 1] = payload
        skips[payload] = args.skips
        return { delivered = tonumber(payload), dropped = 0 }
      end,
      now = function() return Stub.now end,
    }
  end

  local function arrive(one, offset)
    local result = one:arrive(offset, { payload = tostring(offset), is_text = true })
    if type(result) == "table" then
      return result.delivered
    end
    local answer = {}
    result(function(counts) answer.delivered = counts.delivered end)
    return answer
  end

  local function seen() return table.concat(delivered, " ") end

  it("delivers in the order of offsets, and gives each hint its counts", function()
    local one = feed()
    assert.are.equal(1, arrive(one, 1))
    local third, fourth = arrive(one, 3), arrive(one, 4)
    assert.are.equal("1", seen())
    assert.is_nil(third.delivered)
    assert.are.equal(2, arrive(one, 2))
    assert.are.equal("1 2 3 4", seen())
    assert.are.same({ 3, 4 }, { third.delivered, fourth.delivered })
    assert.is_false(one:is_stuck())
  end)

  it("delivers a frame that waits although it comes again as one that others had", function()
    local one = feed()
    arrive(one, 1)
    local third = arrive(one, 3)
    one:arrive(3, { payload = "", is_text = true, is_had = true })
    arrive(one, 2)
    assert.are.equal("1 2 3", seen())
    assert.are.equal(3, third.delivered)
  end)

  it("reads a gap from the store, and delivers nothing twice", function()
    local one = feed()
    stored = { [1] = "1", [2] = "2" }
    assert.are.equal(3, arrive(one, 3))
    assert.are.equal("1 2 3", seen())
    assert.are.equal(2, arrive(one, 2), "a late hint gets the counts of its frame")
    assert.are.equal("1 2 3", seen())
  end)

  it("waits for a hole, which the store fills", function()
    local one = feed()
    local second = arrive(one, 2)
    assert.is_true(one:is_stuck())
    Stub.now = Stub.now + 0.5
    one:look()
    assert.are.equal("", seen())
    stored[1] = "1"
    one:look()
    assert.are.equal("1 2", seen())
    assert.are.equal(2, second.delivered)
  end)

  it("skips holes after a second, and then no frame comes for them", function()
    local one = feed()
    arrive(one, 3)
    stored[5] = "5"
    arrive(one, 6)
    Stub.now = Stub.now + 0.99
    one:look()
    assert.are.equal("", seen())
    Stub.now = Stub.now + 0.02
    one:look()
    assert.are.equal("3", seen(), "the second hole was noticed at the same time, but behind")
    assert.is_true(one:is_stuck())
    Stub.now = Stub.now + 1
    one:look()
    assert.are.equal("3 5 6", seen())
    assert.are.equal(0, arrive(one, 1))
    assert.are.equal("3 5 6", seen())
  end)

  it("catches up with the store", function()
    local one = feed(4)
    stored[5], stored[6] = "5", "6"
    one:catch_up(6)
    assert.are.equal("5 6", seen())
    assert.are.equal(6, one.last)
  end)

  it("gives a connection nothing that it has had before", function()
    local one, connection = feed(), {}
    one:set_floor(connection, 2)
    for offset = 1, 3 do
      arrive(one, offset)
    end
    assert.are.same({ [connection] = true }, skips["1"])
    assert.are.same({ [connection] = true }, skips["2"])
    assert.is_nil(skips["3"])
    one:set_floor(connection, 3)
    arrive(one, 4)
    assert.is_nil(skips["4"])
  end)

  it("answers the hints that wait when it ends or begins anew", function()
    local one = feed()
    local third = arrive(one, 3)
    one:restart(2)
    assert.are.equal(0, third.delivered)
    assert.are.equal(1, arrive(one, 1))
    local ninth = arrive(one, 9)
    one:finish()
    assert.are.equal(0, ninth.delivered)
  end)

  it("knows nothing of the former offsets when it begins anew", function()
    local one = feed()
    stored[1] = "1"
    one:catch_up(1)
    one:set_floor({}, 5)
    stored = {}
    one:restart(2)
    arrive(one, 2)
    Stub.now = Stub.now + 1
    one:look()
    assert.are.equal("1 2", seen())
    assert.is_nil(skips["2"])
    assert.are.equal(0, arrive(one, 1), "its frame was skipped")
  end)
end)
