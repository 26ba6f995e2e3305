local Client = require "support.client"

local CODES = { [1002] = true, [1007] = true, [1009] = true }
local CHARACTERS = { "a", "\0", "\127", "\195\177", "\226\130\172", "\237\159\191", "\240\159\152\128" }
local CONTROL = { [0x9] = "ping", [0xA] = "pong" }

local random = math.random

local function random_bytes(length)
  local out = {}
  for i = 1, length do
    out[i] = string.char(random(0, 255))
  end
  return table.concat(out)
end

local function random_text(characters)
  local out = {}
  for i = 1, characters do
    out[i] = CHARACTERS[random(#CHARACTERS)]
  end
  return table.concat(out)
end

local function add_frame(stream, opcode, payload, fin)
  stream[#stream + 1] = Client.frame(opcode, payload, { fin = fin, mask = random_bytes(4) })
end

local function add_control(stream, expected)
  local opcode, payload = random(0x9, 0xA), random_bytes(random(0, 3) == 0 and 125 or random(0, 9))
  add_frame(stream, opcode, payload, true)
  expected[#expected + 1] = { CONTROL[opcode], payload }
end

-- A message in a random number of fragments, cut anywhere, with control frames between them.
local function add_message(stream, expected)
  local is_text = random(2) == 1
  local size = random(6) == 1 and random(100, 400) or random(0, 12)
  local payload = is_text and random_text(size) or random_bytes(size)
  local rest, opcode = payload, is_text and 0x1 or 0x2
  for _ = 1, random(0, 4) do
    local length = random(0, #rest)
    add_frame(stream, opcode, rest:sub(1, length), false)
    rest, opcode = rest:sub(length + 1), 0x0
    if random(3) == 1 then
      add_control(stream, expected)
    end
  end
  add_frame(stream, opcode, rest, true)
  expected[#expected + 1] = { is_text and "text" or "binary", payload }
end

local function random_stream()
  local stream, expected = {}, {}
  for _ = 1, random(1, 8) do
    if random(4) == 1 then
      add_control(stream, expected)
    end
    add_message(stream, expected)
  end
  return table.concat(stream), expected
end

local function random_cut(stream)
  local lengths = {}
  local largest = ({ 3, 20, 200 })[random(3)]
  for i = 1, #stream do
    lengths[i] = random(1, largest)
  end
  return Client.cut(stream, lengths)
end

local function same(expected, results)
  if #expected ~= #results then
    return false
  end
  for i, one in ipairs(expected) do
    if one[1] ~= results[i][1] or one[2] ~= results[i][2] then
      return false
    end
  end
  return true
end

describe("any cut of a valid stream", function()
  it("gives the same messages", function()
    math.randomseed(20261120)
    for round = 1, 150 do
      local stream, expected = random_stream()
      assert.is_true(same(expected, (Client.read { stream })), "round " .. round .. ", whole")
      for _ = 1, 4 do
        local results, messages = Client.read(random_cut(stream))
        assert.is_true(same(expected, results), "round " .. round)
        assert.is_false(messages:is_unfinished())
      end
    end
  end)
end)

-- Whatever comes, the results are of the known kinds and the last may be one error.
local function check_hostile(stream)
  for _, pieces in ipairs { { stream }, random_cut(stream) } do
    local results = Client.read(pieces, 1000)
    for i, result in ipairs(results) do
      assert.is_string(result[2])
      if result[1] == "error" then
        assert.is_true(CODES[result[3]], "code " .. tostring(result[3]))
        assert.are.equal(#results, i)
      end
    end
  end
end

describe("bytes that are no stream", function()
  it("random ones never throw", function()
    math.randomseed(1)
    for _ = 1, 1500 do
      check_hostile(random_bytes(random(0, 60)))
    end
  end)

  it("random ones behind a good start never throw", function()
    math.randomseed(2)
    for _ = 1, 500 do
      local first = string.char(0x80 * random(0, 1) + ({ 0, 1, 2, 8, 9, 10 })[random(6)], 0x80 + random(0, 127))
      check_hostile(Client.frame(0x1, "a", { fin = false }) .. first .. random_bytes(random(0, 200)))
    end
  end)

  it("a valid stream with one byte changed never throws", function()
    math.randomseed(3)
    for _ = 1, 500 do
      local stream = random_stream()
      local at = random(#stream)
      check_hostile(stream:sub(1, at - 1) .. string.char(random(0, 255)) .. stream:sub(at + 1))
    end
  end)

  it("a valid stream that ends anywhere gives what was whole", function()
    math.randomseed(4)
    for _ = 1, 100 do
      local stream, expected = random_stream()
      local results = Client.read { stream:sub(1, random(0, #stream)) }
      assert.is_true(#results <= #expected)
      for i, result in ipairs(results) do
        assert.are.equal(expected[i][1], result[1])
        assert.is_true(expected[i][2] == result[2])
      end
    end
  end)
end)
