local PagedRead = require "framegate.push.paged_read"

describe("a read of a kept topic", function()
  local asked, outcome

  local function read(wanted)
    asked, outcome = {}, nil
    PagedRead.new(
      wanted,
      function(page, on_done) asked[#asked + 1] = { wanted = page, on_done = on_done } end,
      function(reply) outcome = reply or "away" end
    ):go_on()
  end

  local function reply(facts, ...)
    facts.epoch, facts.base = facts.epoch or "e", 0
    facts.frames = select("#", ...) > 0 and {} or nil
    for i, offset in ipairs { ... } do
      facts.frames[i] = { offset = offset, payload = "12345" }
    end
    asked[#asked].on_done(facts)
  end

  local function offsets()
    local list = {}
    for i, frame in ipairs(outcome.frames) do
      list[i] = frame.offset
    end
    return table.concat(list, " ")
  end

  it("goes backwards from the end of its beginning", function()
    read { mode = "last", from = 5, max_bytes = 100 }
    reply({ top = 9, has_more = true }, 9, 8)
    assert.are.same({ mode = "last", from = 3, before = 8, epoch = "e", max_bytes = 70 }, asked[2].wanted)
    reply({ top = 12 }, 7, 6, 5)
    assert.are.same({ "5 6 7 8 9", 9 }, { offsets(), outcome.top })
  end)

  it("goes forwards to the end", function()
    read { mode = "after", from = 5, epoch = "e", max_bytes = 100 }
    reply({ top = 8, has_more = true }, 6, 7)
    assert.are.same({ mode = "after", from = 7, epoch = "e", max_bytes = 70 }, asked[2].wanted)
    reply({ top = 9 }, 8, 9)
    assert.are.same({ "6 7 8 9", 9 }, { offsets(), outcome.top })
  end)

  it("gives nothing when a part is gone, or another epoch begins", function()
    for _, second in ipairs { { { top = 9 } }, { { top = 9, epoch = "f" }, 7 } } do
      read { mode = "after", from = 5, epoch = "e", max_bytes = 100 }
      reply({ top = 8, has_more = true }, 6)
      reply(unpack(second))
      assert.is_nil(outcome.frames)
      assert.are.equal(9, outcome.top)
    end
  end)

  it("ends when Redis is away", function()
    read { mode = "last", from = 5, max_bytes = 100 }
    asked[1].on_done(nil)
    assert.are.equal("away", outcome)
  end)
end)
