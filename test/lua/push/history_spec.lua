local Stub = require "support.ngx"
local History = require "framegate.push.history"
local HistoryBlocks = require "framegate.push.history_blocks"
local Position = require "framegate.push.position"
local SharedDict = require "support.shared_dict"

local ALL = { max_bytes = 2 ^ 20 }

describe("the history of topics", function()
  local frames, topics, locks, counted

  before_each(function()
    Stub.now, counted = 1000, {}
    frames, topics, locks = SharedDict.new(), SharedDict.new(), SharedDict.new()
  end)

  local function history(rules)
    local made = History.new {
      rules = rules or { { prefix = "", frames = 3, seconds = 60 } },
      frames = frames,
      topics = topics,
      locks = locks,
      now = function() return Stub.now end,
      time = function() return 1700000000.5 end,
      count = function(what, count) counted[what] = (counted[what] or 0) + count end,
    }
    made.store:init()
    return made
  end

  local function keep(made, topic, payload) return select(2, made:keep(topic, { payload = payload, is_text = true })) end

  local function payloads(list)
    local all = {}
    for i, frame in ipairs(list) do
      all[i] = frame.payload
    end
    return table.concat(all, " ")
  end

  local function last(made, topic, count) return payloads((made:read(topic, { last = count or 100 }, ALL))) end

  local function after(made, topic, position)
    local list = made:read(topic, { after = position }, ALL)
    return list and payloads(list)
  end

  it("of the longest prefix counts", function()
    local made = history {
      { prefix = "chat:vip", frames = 9, seconds = 9 },
      { prefix = "chat:", frames = 1, seconds = 1 },
    }
    assert.are.equal(9, made:rule_of("chat:vip:1").frames)
    assert.are.equal(1, made:rule_of("chat:1").frames)
    assert.is_nil(made:rule_of("chat"))
    assert.is_nil(made:keep("news", { payload = "x", is_text = true }))
  end)

  it("gives back frames as they were", function()
    local made = history()
    for _, size in ipairs { 0, 1, 375, 376, 377, 792, 65536 } do
      local frame =
        { payload = ("\0 x"):rep(size):sub(1, size), is_text = size % 2 == 0, except = "id", replace = "key" }
      local place, position = made:keep("t", frame)
      assert.is_string(position)
      local read = made.store:read(place.id, place.offset)
      assert.are.same(
        { frame.payload, frame.is_text, "id", "key" },
        { read.payload, read.is_text, read.except, read.replace }
      )
      assert.are.same({ 1000, 1700000000.5 }, { read.stored_at, read.time })
    end
    assert.is_nil((made:keep("t", { payload = ("x"):rep(65537), is_text = true })), "longer ones have no place")
  end)

  it("keeps no except that is longer than any id", function()
    local made = history()
    for size, expected in pairs { [999] = ("i"):rep(999), [1000] = false } do
      local place = made:keep("t", { payload = "x", is_text = true, except = ("i"):rep(size) })
      local read = made.store:read(place.id, place.offset)
      assert.are.same({ "x", expected }, { read.payload, read.except or false })
    end
  end)

  it("has blocks of one size", function()
    local made = history()
    for size = 0, 3000, 37 do
      keep(made, "a topic with a long name", ("x"):rep(size))
    end
    for key, entry in pairs(frames.values) do
      assert.are.equal(416, #entry.value)
      assert.is_true(#key <= 27)
    end
  end)

  it("is bounded by number", function()
    local made = history()
    local positions = {}
    for i = 1, 5 do
      positions[i] = keep(made, "t", tostring(i))
    end
    assert.are.equal("3 4 5", last(made, "t"))
    assert.are.equal("5", last(made, "t", 1))
    assert.is_nil(after(made, "t", positions[1]), "a frame after it is gone")
    assert.are.equal("3 4 5", after(made, "t", positions[2]))
    assert.are.equal("", after(made, "t", positions[5]))
    assert.are.equal(3, frames.count, "the others take no memory")
  end)

  it("is bounded by time", function()
    local made = history()
    local first = keep(made, "t", "1")
    Stub.now = Stub.now + 61
    assert.are.equal("", last(made, "t"))
    local second = keep(made, "t", "2")
    assert.is_nil(after(made, "t", "x"))
    assert.are.equal("2", after(made, "t", first))
    assert.are.equal("", after(made, "t", second))
    assert.are.equal(1, frames.count)
    keep(made, "t", "3")
    Stub.now = Stub.now + 61
    assert.is_nil(after(made, "t", first), "what came after it is too old")
  end)

  it("gives the memory of the largest topic to others", function()
    frames = SharedDict.new(64)
    local made = history { { prefix = "", frames = 1000, seconds = 60 } }
    local first = keep(made, "large", "1")
    for i = 2, 60 do
      keep(made, "large", tostring(i))
    end
    for i = 1, 10 do
      assert.is_string(keep(made, "small", tostring(i)))
    end
    assert.are.equal("1 2 3 4 5 6 7 8 9 10", last(made, "small"))
    assert.matches("^7 8 .* 60$", last(made, "large"))
    assert.is_nil(after(made, "large", first))
    assert.is_true(frames.count <= 64)
  end)

  it("gives the memory of a topic with one frame to others only when none has more", function()
    frames = SharedDict.new(20)
    local made = history { { prefix = "", frames = 1000, seconds = 60 } }
    local function frame_of(blocks) return ("x"):rep(416 * blocks - 40) end
    keep(made, "large", frame_of(12))
    for i = 1, 4 do
      keep(made, "small", frame_of(1) .. i)
    end
    assert.is_string(keep(made, "new", frame_of(6)))
    assert.are.equal(1, #made:read("large", { last = 9 }, ALL))
    assert.are.equal(1, #made:read("small", { last = 9 }, ALL))
    assert.is_string(keep(made, "newer", frame_of(6)))
    assert.are.equal(0, #made:read("large", { last = 9 }, ALL))
    assert.are.equal(1, #made:read("small", { last = 9 }, ALL))
    assert.is_string(keep(made, "huge", frame_of(20)))
    assert.are.equal(20, frames.count)
  end)

  it("searches for memory once when nothing can be removed", function()
    frames = SharedDict.new(2)
    local made, searches = history(), 0
    local get_keys = topics.get_keys
    topics.get_keys = function(self)
      searches = searches + 1
      return get_keys(self)
    end
    assert.is_nil(keep(made, "t", ("x"):rep(5000)))
    assert.are.equal(1, searches)
  end)

  it("loses no memory over many evictions", function()
    frames = SharedDict.new(300)
    local made = history { { prefix = "", frames = 1000, seconds = 60 } }
    for i = 1, 2000 do
      keep(made, "t" .. i % 7, ("x"):rep(i * 37 % 5000))
    end
    local blocks = 0
    for name, id in pairs(made.store.topics:all()) do
      local blocks_there = 0
      for offset = made.store:first(id), made.store:top(id) do
        local frame = made.store:read(id, offset)
        blocks_there = blocks_there + (frame and #HistoryBlocks.cut(frame) or 0)
      end
      assert.are.equal(blocks_there, topics:get("b" .. id), name)
      blocks = blocks + blocks_there
    end
    assert.are.equal(frames.count, blocks, "every block belongs to a frame that is there")
  end)

  it("says that something is missing when a frame does not fit at all", function()
    frames = SharedDict.new(20)
    local made = history { { prefix = "", frames = 1000, seconds = 60 } }
    local before = keep(made, "t", "1")
    local place, position = made:keep("t", { payload = ("x"):rep(20000), is_text = true })
    assert.are.equal(2, place.offset, "it has a place in the order")
    assert.is_nil(position)
    assert.is_nil(after(made, "t", before))
    assert.are.equal("", last(made, "t"))
    keep(made, "t", "3")
    assert.are.equal("3", last(made, "t"))
    assert.are.equal(1, frames.count)
  end)

  it("forgets topics whose frames are old when there are too many, and then begins them anew", function()
    topics = SharedDict.new(2 + 6 * 3)
    local made = history()
    local position = keep(made, "a", "1")
    keep(made, "b", "1")
    keep(made, "c", "1")
    assert.is_nil((made:keep("d", { payload = "1", is_text = true })), "all are young")
    Stub.now = Stub.now + 61
    assert.is_string(keep(made, "d", "1"))
    assert.is_nil(after(made, "a", position))
    assert.are_not.equal(position, keep(made, "a", "1"))
    assert.is_nil(after(made, "a", position))
    assert.are.equal(2, frames.count)
  end)

  it("forgets a topic whose last frame found no memory", function()
    frames, topics = SharedDict.new(2), SharedDict.new(2 + 6)
    local made = history()
    assert.is_nil(keep(made, "a", ("x"):rep(5000)))
    assert.is_string(keep(made, "b", "1"))
  end)

  it("stops before a frame that is about to be stored, and passes one that never came", function()
    local made = history()
    keep(made, "t", "1")
    local id = made.store:find("t")
    assert.are.equal(2, made.store.topics:next_offset(id)) -- by a worker that has not stored yet, or was killed
    local third = made:keep("t", { payload = "3", is_text = true })
    assert.are.equal(1, made.store:settled(id))
    assert.are.equal("1", last(made, "t"))
    Stub.now = Stub.now + 1.1
    assert.are.equal(3, made.store:settled(id))
    assert.are.equal("1 3", last(made, "t"))
    assert.are.equal(3, third.offset)
  end)

  it("counts no memory of a frame that was given up before it was stored", function()
    local made = history { { prefix = "", frames = 1, seconds = 60 } }
    local rule, store, cut = made:rule_of("t"), made.store, HistoryBlocks.cut
    local frame = { payload = "1", is_text = true, stored_at = Stub.now, time = 0 }
    HistoryBlocks.cut = function(...) -- another worker appends between the offset and the frame
      HistoryBlocks.cut = cut
      assert.is_string(keep(made, "t", "2"))
      return cut(...)
    end
    local offset, is_kept = store:append(store:open("t", made.rule), rule, frame)
    assert.are.same({ 1, false }, { offset, is_kept })
    assert.are.equal("2", last(made, "t"))
    assert.are.same({ 1, 1 }, { frames.count, topics:get("b" .. store:find("t")) })
  end)

  it("knows positions of another epoch or topic, and those beyond its end", function()
    local made = history()
    local position = keep(made, "t", "1")
    keep(made, "u", "1")
    assert.are.equal("", after(made, "t", position))
    assert.is_nil(after(made, "u", position))
    local place = Position.decode(position)
    place.offset = place.offset + 1
    assert.is_nil(after(made, "t", Position.encode(place)))
    place.offset, place.epoch = 1, "other"
    assert.is_nil(after(made, "t", Position.encode(place)))
    assert.is_nil(after(made, "t", Position.encode { epoch = made.store:epoch(), offset = 1 }), "of a cluster")
    assert.are.same({ epoch = "-a_", offset = 31 }, Position.decode "-a_.1f")
    for _, text in ipairs { "", "a", "a.g", "a.1.1.1", "a.g.1", "a.1." .. ("1"):rep(13), ("a"):rep(65) .. ".1.1" } do
      assert.is_nil(Position.decode(text), text)
    end
  end)

  it("gives no more bytes than asked for: fewer of the last, and none after a position", function()
    local made = history()
    local first = keep(made, "t", "aaaa")
    keep(made, "t", "bbbb")
    keep(made, "t", "cccc")
    assert.are.equal("bbbb cccc", payloads((made:read("t", { last = 3 }, { max_bytes = 28 }))))
    assert.are.equal(2, #made:read("t", { after = first }, { max_bytes = 28 }))
    assert.is_nil((made:read("t", { after = first }, { max_bytes = 27 })))
  end)

  it("reads no further than the bytes asked for, and gives nothing at the end without room", function()
    local made = history()
    local first = keep(made, "t", "aaaa")
    keep(made, "t", "bbbb")
    local third = keep(made, "t", "cccc")
    local reads, read = 0, made.store.read
    made.store.read = function(...)
      reads = reads + 1
      return read(...)
    end
    assert.is_nil((made:read("t", { after = first }, { max_bytes = 13 })))
    assert.are.equal(1, reads)
    assert.are.same({}, (made:read("t", { after = third }, { max_bytes = -1 })))
  end)
end)
