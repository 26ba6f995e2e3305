-- A kept topic of a cluster in one worker. The spec answers what it reads from Redis.

local Stub = require "support.ngx"
local Hold = require "framegate.push.hold"
local SharedFeed = require "framegate.push.shared_feed"

describe("a feed of a cluster", function()
  local feed, reads, delivered, skips

  before_each(function()
    Stub.now = 100
    reads, delivered, skips = {}, {}, {}
    feed = SharedFeed.new {
      topic = "t",
      read = function(wanted, on_done) reads[#reads + 1] = { wanted = wanted, on_done = on_done } end,
      deliver = function(args, payload)
        delivered[#delivered + 1] = payload
        skips[payload] = args.skips
        return { delivered = 1, dropped = 0 }
      end,
    }
  end)

  -- `former`: offset in the epoch "a" that a repeat had
  local function arrive(epoch, offset, former)
    local frame = { payload = epoch .. offset, is_text = true, former = former and { epoch = "a", offset = former } }
    local result = feed:arrive({ epoch = epoch, offset = offset }, frame)
    local answer = {}
    if type(result) == "table" then
      answer.counts = result
    else
      result(function(counts) answer.counts = counts end)
    end
    return answer
  end

  local function reply(epoch, top, more)
    local read = table.remove(reads, 1)
    local frames = {}
    for i = more.from or top + 1, more.to or top do
      frames[#frames + 1] = { offset = i, payload = epoch .. i, is_text = true }
    end
    read.on_done { epoch = epoch, base = more.base or 0, top = top, frames = frames }
    return read.wanted
  end

  local function seen() return table.concat(delivered, " ") end

  local function begin(top)
    feed:catch_up()
    reply("a", top or 0, {})
  end

  it("begins at the end, and delivers what comes from then on in order", function()
    begin(5)
    arrive("a", 5)
    assert.are.same({ delivered = 1, dropped = 0 }, arrive("a", 6).counts)
    assert.are.equal("a6", seen())
    assert.are.equal(0, #reads)
  end)

  it("holds back what comes before Redis has answered, and loses none of it", function()
    local first = arrive("a", 3)
    feed:catch_up()
    assert.are.equal(1, #reads)
    arrive("a", 4)
    assert.is_nil(first.counts)
    reply("a", 4, {})
    arrive("a", 5)
    assert.are.equal("a3 a4 a5", seen())
    assert.are.same({ delivered = 1, dropped = 0 }, first.counts)
  end)

  it("reads a gap, and skips what is gone", function()
    begin()
    arrive("a", 1)
    local late = arrive("a", 6)
    assert.are.equal("a1", seen())
    local wanted = reply("a", 6, { from = 4 })
    assert.are.same({ "gap", 1, "a" }, { wanted.mode, wanted.from, wanted.epoch })
    assert.are.equal("a1 a4 a5 a6", seen())
    assert.are.same({ delivered = 1, dropped = 0 }, late.counts)
    arrive("a", 5)
    assert.are.equal("a1 a4 a5 a6", seen())
  end)

  it("reads a long gap in parts", function()
    begin()
    feed:catch_up()
    reply("a", 4, { from = 1, to = 2 })
    reply("a", 4, { from = 3 })
    assert.are.equal("a1 a2 a3 a4", seen())
    assert.are.equal(0, #reads)
  end)

  it("tries again when Redis is away", function()
    begin()
    arrive("a", 2)
    table.remove(reads).on_done(nil)
    assert.is_true(feed.is_behind)
    feed:catch_up()
    reply("a", 2, { from = 1 })
    assert.is_false(feed.is_behind)
    assert.are.equal("a1 a2", seen())
  end)

  it("goes on in another epoch behind what both have", function()
    begin()
    for offset = 1, 4 do
      arrive("a", offset)
    end
    arrive("b", 4) -- the new Redis had only three
    reply("b", 4, { base = 3 })
    assert.are.equal("a1 a2 a3 a4 b4", seen())
    local former = arrive("a", 5)
    reply("b", 4, { base = 3 })
    assert.are.same({ delivered = 0, dropped = 0, is_lost = true }, former.counts)
    arrive("b", 5)
    assert.are.equal("a1 a2 a3 a4 b4 b5", seen())
  end)

  it(
    "delivers what waited for others when the epoch changed: now if Redis still has it, else when it comes again",
    function()
      begin()
      arrive("a", 1)
      local kept, lost = arrive("a", 3), arrive("a", 5)
      reply("b", 3, { base = 3 })
      assert.are.same({ delivered = 0, dropped = 0, is_lost = true }, lost.counts)
      reply("b", 3, { base = 3, from = 2 })
      assert.are.equal("a1 b2 a3", seen())
      assert.are.same({ delivered = 1, dropped = 0 }, kept.counts)
      arrive("b", 4, 5)
      arrive("b", 5, 3)
      assert.are.equal("a1 b2 a3 b4", seen())
    end
  )

  it("delivers what came before any epoch was known, and is in an epoch that is over", function()
    local kept, lost = arrive("a", 3), arrive("a", 4)
    table.remove(reads, 1).on_done(nil)
    feed:catch_up()
    reply("b", 3, { base = 3 })
    assert.are.same({ delivered = 1, dropped = 0 }, kept.counts)
    assert.is_true(lost.counts.is_lost)
    arrive("b", 4, 4)
    assert.are.equal("a3 b4", seen())
  end)

  it("loses nothing that it has delivered, although its message comes late", function()
    begin()
    feed:catch_up()
    reply("a", 2, { from = 1 })
    feed:catch_up()
    reply("b", 1, { base = 1 })
    local late = arrive("a", 2)
    reply("b", 1, { base = 1 })
    assert.are.same({ delivered = 0, dropped = 0 }, late.counts)
    arrive("b", 2, 2)
    assert.are.equal("a1 a2", seen())
  end)

  it("reads what an empty Redis got meanwhile", function()
    begin()
    arrive("a", 1)
    feed:catch_up()
    reply("b", 2, {})
    reply("b", 2, { from = 1 })
    assert.are.equal("a1 b1 b2", seen())
  end)

  it("does not deliver again what has a new place in another epoch", function()
    begin()
    arrive("a", 1)
    feed:arrive({ epoch = "b", offset = 1 }, { is_had = true })
    reply("b", 2, {})
    reply("b", 2, { from = 1 })
    assert.are.equal("a1 b2", seen())
  end)

  it("notes frames for a connection that waits, and leaves out those that it has had", function()
    begin()
    local connection, hold, given = { id = "c", topics = { "t", t = 1 } }, Hold.new(100), {}
    feed:hold(connection, hold)
    arrive("a", 1)
    arrive("a", 2)
    assert.is_true(skips.a2[connection])
    feed:release(connection)
    feed:set_floor(connection, { epoch = "a", offset = 3 })
    hold:each_behind({ epoch = "a", offset = 1 }, function(_, payload) given[#given + 1] = payload end)
    assert.are.same({ "a2" }, given)
    arrive("a", 3)
    assert.is_true(skips.a3[connection])
    arrive("a", 4)
    assert.is_nil(skips.a4)
  end)

  it("notes no frame for a connection that has unsubscribed while it waits", function()
    begin()
    local hold, given = Hold.new(100), {}
    feed:hold({ id = "c", topics = { "other", other = 1 } }, hold)
    arrive("a", 1)
    hold:each_behind(nil, function(_, payload) given[#given + 1] = payload end)
    assert.are.same({ {}, "a1" }, { given, seen() })
  end)

  it("knows the place of the last frame that a connection was sent", function()
    local connection = { id = "c" }
    assert.is_nil(feed:place_of(connection))
    begin(3)
    assert.are.same({ epoch = "a", offset = 3 }, feed:place_of(connection))
    feed:hold(connection, Hold.new(100))
    arrive("a", 4)
    assert.are.same({ epoch = "a", offset = 3 }, feed:place_of(connection))
    feed:release(connection)
    feed:set_floor(connection, { epoch = "a", offset = 6 })
    assert.are.same({ epoch = "a", offset = 6 }, feed:place_of(connection))
  end)

  it("remembers what a connection has had of an epoch that it does not know yet", function()
    local connection = { id = "c" }
    arrive("a", 1)
    feed:set_floor(connection, { epoch = "a", offset = 1 })
    reply("a", 1, {})
    assert.is_true(skips.a1[connection])
  end)

  it("answers everybody when it ends", function()
    local early = arrive("a", 1)
    feed:finish()
    assert.are.same({ delivered = 0, dropped = 0 }, early.counts)
    reply("a", 1, { from = 1 })
    assert.are.equal("", seen())
  end)
end)

describe("a hold", function()
  it("notes frames up to a bound, and gives all when nothing was read", function()
    local hold, given = Hold.new(3), {}
    for offset, payload in ipairs { "a", "bb", "c" } do
      hold:note({ epoch = "e", offset = offset }, { is_text = true, topic = "t" }, payload)
    end
    hold:each_behind(nil, function(args, payload) given[#given + 1] = { args, payload } end)
    assert.are.same({ { { is_text = true }, "a" }, { { is_text = true }, "bb" } }, given)
    given = {}
    hold:each_behind({ epoch = "f", offset = 9 }, function(_, payload) given[#given + 1] = payload end)
    assert.are.same({ "a", "bb" }, given)
  end)
end)
