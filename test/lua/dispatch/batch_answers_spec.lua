require "support.ngx"
local bit = require "bit"
local BatchAnswers = require "framegate.dispatch.batch_answers"
local Config = require "framegate.config"
local Found = require "framegate.dispatch.found"

local TEXT = "content-type: text/plain\r\n"

local function number(value)
  return string.char(
    bit.rshift(value, 24),
    bit.band(bit.rshift(value, 16), 255),
    bit.band(bit.rshift(value, 8), 255),
    value % 256
  )
end

local function answer(place, status, lines, body)
  return number(place) .. number(status) .. number(#lines) .. number(#body) .. lines .. body
end

describe("the answers of a batch in lengths and bytes", function()
  local saved, alone, answers

  before_each(function()
    saved = rawget(Config, "MAX_ANSWER_BYTES")
    rawset(Config, "MAX_ANSWER_BYTES", 1000)
    alone = {}
    local lane = { options = { on_alone = function(event) alone[#alone + 1] = event end } }
    answers = BatchAnswers.new(lane, { "one", "two", "three" })
  end)

  after_each(function() rawset(Config, "MAX_ANSWER_BYTES", saved) end)

  -- Feeds pieces, and lists what was found as `event status body`.
  local function take(...)
    local list = {}
    for _, piece in ipairs { ... } do
      local found = Found.new()
      local ok, err = answers:take(piece, found)
      found:pass_on(
        function(event, given) list[#list + 1] = event .. " " .. (given.failure or given.status) .. " " .. given.body end
      )
      if not ok then
        return list, err
      end
    end
    return list
  end

  it("are read in any order, with their headers", function()
    local all = answer(2, 200, TEXT, "hi")
      .. answer(0, 204, "", "")
      .. answer(1, 404, TEXT .. "X-A: 1\r\nx-a: 2\r\n", "\0")
    assert.are.same({ "three 200 hi", "one 204 ", "two 404 \0" }, take(all))
    assert.are.same({}, answers.open)
  end)

  it("are read whatever pieces they come in", function()
    local all = answer(0, 200, TEXT, "first") .. answer(1, 200, TEXT, "second") .. answer(2, 204, "", "")
    for size = 1, #all do
      answers = BatchAnswers.new({ options = {} }, { "one", "two", "three" })
      local pieces = {}
      for first = 1, #all, size do
        pieces[#pieces + 1] = all:sub(first, first + size - 1)
      end
      assert.are.same({ "one 200 first", "two 200 second", "three 204 " }, take(unpack(pieces)), size)
    end
  end)

  it("may be that an event was not processed and must come alone", function()
    assert.are.same({}, take(answer(1, 0, "", "")))
    assert.are.same({ "two" }, alone)
    assert.are.same({ "one", nil, "three" }, answers.open)
  end)

  it("are checked as others are", function()
    assert.are.same({ "one malformed " }, take(answer(0, 700, TEXT, "x")))
    assert.are.same({ "two malformed " }, take(answer(1, 200, "content-type: a\1\r\n", "x")))
  end)

  it(
    "count once, and only for events of the batch",
    function()
      assert.are.same(
        { "one 200 a" },
        take(answer(0, 200, TEXT, "a") .. answer(0, 200, TEXT, "b") .. answer(7, 200, TEXT, "c"))
      )
    end
  )

  it("are passed over when they are too large", function()
    local large = answer(0, 200, TEXT, ("x"):rep(1001))
    local all = large .. answer(1, 200, TEXT, "next")
    assert.are.same({ "one malformed ", "two 200 next" }, take(all:sub(1, 60), all:sub(61, 500), all:sub(501)))
  end)

  it("fail alone when their headers are too large", function()
    local large = answer(0, 200, "x-a: " .. ("x"):rep(65536) .. "\r\n", "body")
    local all = large .. answer(1, 200, TEXT, "next")
    assert.are.same({ "one malformed ", "two 200 next" }, take(all:sub(1, 60), all:sub(61, 65600), all:sub(65601)))
  end)

  it("are over when what came cannot be one", function()
    local list, err = take(answer(0, 200, TEXT, "a") .. ("GARBAGE "):rep(10))
    assert.are.same({ "one 200 a" }, list)
    assert.are.equal("what came is no answer", err)
  end)
end)
