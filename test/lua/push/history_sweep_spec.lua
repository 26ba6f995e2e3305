-- Workers that are killed between two steps: the spec leaves the shared memory as they would.

local Stub = require "support.ngx"
local History = require "framegate.push.history"
local HistorySweep = require "framegate.push.history_sweep"
local SharedDict = require "support.shared_dict"

describe("the sweep of histories", function()
  local frames, topics, locks, made, sweep, removed, pauses

  local function new_sweep(worker)
    return HistorySweep.new {
      store = made.store,
      rule_of = made.rule,
      worker = worker,
      pause = function() pauses = pauses + 1 end,
    }
  end

  before_each(function()
    Stub.now, removed, pauses = 1000, {}, 0
    frames, topics, locks = SharedDict.new(), SharedDict.new(), SharedDict.new()
    made = History.new {
      rules = { { prefix = "", frames = 100, seconds = 60 } },
      frames = frames,
      topics = topics,
      locks = locks,
      now = function() return Stub.now end,
      time = function() return 1700000000 end,
      count = function(what, count) removed[what] = (removed[what] or 0) + count end,
    }
    made.store:init()
    sweep = new_sweep "one"
  end)

  local function keep(topic, bytes)
    local place = made:keep(topic, { payload = ("x"):rep(bytes or 1), is_text = true })
    return place.id, place.offset
  end

  local function rounds(count)
    for _ = 1, count do
      sweep:round()
    end
  end

  local function blocks_of(id) return topics:get("b" .. id) end

  it("removes the frames of silent topics when they are too old", function()
    local id = keep "silent"
    keep("silent", 2000)
    Stub.now = Stub.now + 30
    keep "younger"
    rounds(1)
    assert.are.equal(7, frames.count)
    Stub.now = Stub.now + 31
    rounds(1)
    assert.are.same({ 1, 0, 2 }, { frames.count, blocks_of(id), removed.age })
    assert.are.equal(2, made.store:top(id), "the topic and its positions are still there")
  end)

  it("removes what nobody keeps any more", function()
    for _ = 1, 3 do
      keep "t"
    end
    made.rules[1].prefix = "other"
    rounds(1)
    assert.are.equal(0, frames.count)
  end)

  it("removes the blocks of frames that were given up, and counts the rest", function()
    local id = keep("t", 2000)
    keep("t", 2000)
    assert.are.same({ 10, 10 }, { frames.count, blocks_of(id) })
    made.store.topics:give_up(id, 1) -- and killed
    rounds(1)
    assert.are.equal(10, frames.count, "perhaps it is being removed")
    rounds(1)
    assert.are.same({ 5, 5 }, { frames.count, blocks_of(id) })
    assert.are.equal(2, made.store.topics:swept(id))
  end)

  it("removes the blocks of a frame that was half removed, or half written", function()
    local id, offset = keep("t", 2000)
    for _, block in ipairs { 0, 4 } do
      frames:delete(("%x:%x:%x"):format(id, offset, block))
    end
    local second = made.store.topics:next_offset(id)
    for _, block in ipairs { 1, 2 } do
      frames:safe_set(("%x:%x:%x"):format(id, second, block), "x")
    end
    made.store.topics:give_up(id, 2)
    rounds(2)
    assert.are.same({ 0, 0 }, { frames.count, blocks_of(id) })
  end)

  it("gives up offsets that never got a frame, when nothing else is left", function()
    local id = keep "t"
    made.store.topics:next_offset(id)
    Stub.now = Stub.now + 61
    rounds(1)
    assert.are.equal(2, made.store:first(id))
    rounds(2)
    assert.are.equal(3, made.store:first(id))
  end)

  it("corrects the count of blocks after a worker has ended", function()
    local id = keep("t", 2000)
    topics:incr("b" .. id, 3)
    rounds(2)
    assert.are.equal(8, blocks_of(id))
    sweep:recount_all()
    rounds(1)
    assert.are.equal(5, blocks_of(id))
  end)

  it("removes topics that were begun or forgotten by half", function()
    local id = keep("half", 2000)
    topics:delete "nhalf"
    local before = topics.count
    rounds(1)
    assert.are.equal(before, topics.count)
    rounds(1)
    assert.are.same({ 0, before - 5 }, { frames.count, topics.count })
    assert.is_nil(made.store:top(id))
  end)

  it("is left to one worker until it ends", function()
    rounds(1)
    keep "t"
    Stub.now = Stub.now + 29
    rounds(1)
    local other = new_sweep "two"
    Stub.now = Stub.now + 29
    made.rules[1].prefix = "other"
    other:round()
    assert.are.equal(1, frames.count)
    Stub.now = Stub.now + 2
    other:round()
    assert.are.equal(0, frames.count)
  end)

  it("lets others work meanwhile", function()
    for i = 1, 250 do
      keep("t" .. i)
    end
    rounds(1)
    assert.are.equal(2, pauses)
  end)

  it("shows how much is kept", function()
    keep("t", 2000)
    keep "u"
    assert.are.same({ frames = 2, bytes = 6 * 512, max_bytes = 2 ^ 26 }, made.store:usage())
  end)
end)
