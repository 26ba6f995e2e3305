local ffi = require "ffi"
local Utf8 = require "framegate.protocol.utf8"

local bytes_of = ffi.typeof("const uint8_t *")

local function state_after(text, state, offset)
  return Utf8.validate(state or Utf8.COMPLETE, ffi.cast(bytes_of, text) + (offset or 0), #text - (offset or 0))
end

-- The shortest way to write a code point (RFC 3629 section 3).
local function encode(code)
  local char = string.char
  if code < 0x80 then
    return char(code)
  elseif code < 0x800 then
    return char(0xC0 + math.floor(code / 64), 0x80 + code % 64)
  elseif code < 0x10000 then
    return char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
  end
  return char(
    0xF0 + math.floor(code / 262144),
    0x80 + math.floor(code / 4096) % 64,
    0x80 + math.floor(code / 64) % 64,
    0x80 + code % 64
  )
end

local function is_scalar(code) return code <= 0x10FFFF and not (code >= 0xD800 and code <= 0xDFFF) end

-- The length of the one character that stands at `position`, by decoding and writing it again; nil when it is not valid.
local function character_at(text, position)
  local lead = text:byte(position)
  local length = lead < 0x80 and 1
    or lead >= 0xC0 and lead < 0xE0 and 2
    or lead >= 0xE0 and lead < 0xF0 and 3
    or lead >= 0xF0 and lead < 0xF8 and 4
  if not length or position + length - 1 > #text then
    return nil
  end
  local code = length == 1 and lead or lead % 2 ^ (7 - length)
  for i = position + 1, position + length - 1 do
    code = code * 64 + text:byte(i) % 64
  end
  return is_scalar(code) and encode(code) == text:sub(position, position + length - 1) and length or nil
end

local function reference(text)
  local position = 1
  while position <= #text do
    local length = character_at(text, position)
    if not length then
      return false
    end
    position = position + length
  end
  return true
end

local function check(text)
  if Utf8.is_valid(text) ~= reference(text) then
    error(
      ("%s: expected %s"):format(text:gsub(".", function(c) return ("%02X "):format(c:byte()) end), reference(text)),
      2
    )
  end
end

-- Characters of every length, the first and last of each, and non-characters, which are allowed.
local BOUNDARIES = {
  0x00,
  0x7F,
  0x80,
  0x7FF,
  0x800,
  0xFFF,
  0x1000,
  0xCFFF,
  0xD000,
  0xD7FF,
  0xE000,
  0xFDD0,
  0xFFFD,
  0xFFFE,
  0xFFFF,
  0x10000,
  0x1FFFE,
  0x3FFFF,
  0x40000,
  0xFFFFF,
  0x100000,
  0x10FFFE,
  0x10FFFF,
}

local MIXED = "a\195\177\226\130\172\240\159\152\128\0z\237\159\191\238\128\128\244\143\191\191 plain ascii behind it"

describe("valid UTF-8", function()
  it("holds every code point of the first plane, and many of the others", function()
    local block, code = {}, 0
    while code <= 0x10FFFF do
      if is_scalar(code) then
        block[#block + 1] = encode(code)
      end
      if #block == 1024 then
        assert.is_true(Utf8.is_valid(table.concat(block)), ("a code point up to U+%X"):format(code))
        block = {}
      end
      code = code + (code < 0xFFFF and 1 or 61)
    end
    assert.is_true(Utf8.is_valid(table.concat(block)))
  end)

  it("holds each boundary by itself", function()
    for _, code in ipairs(BOUNDARIES) do
      assert.is_true(Utf8.is_valid(encode(code)), ("U+%X"):format(code))
    end
    assert.is_true(Utf8.is_valid(""))
  end)
end)

describe("invalid UTF-8", function()
  it("every surrogate", function()
    for code = 0xD800, 0xDFFF do
      assert.is_false(Utf8.is_valid(encode(code)))
    end
    assert.is_false(Utf8.is_valid("\237\160\189\237\184\128"), "a pair of them, as CESU-8 writes it")
  end)

  it("above U+10FFFF", function()
    for _, text in ipairs {
      "\244\144\128\128",
      "\245\128\128\128",
      "\247\191\191\191",
      "\248\136\128\128\128",
      "\254",
      "\255",
    } do
      assert.is_false(Utf8.is_valid(text))
    end
  end)

  it("overlong forms of the first and last code point of each length", function()
    for _, text in ipairs {
      "\192\128",
      "\192\175",
      "\193\191",
      "\224\128\128",
      "\224\159\191",
      "\240\128\128\128",
      "\240\143\191\191",
      "\248\128\128\128\128",
      "\252\128\128\128\128\128",
    } do
      assert.is_false(Utf8.is_valid(text))
      assert.are.equal(Utf8.INVALID, state_after(text))
    end
  end)
end)

describe("against a reference", function()
  it("every sequence of one and of two bytes", function()
    for first = 0, 255 do
      check(string.char(first))
      for second = 0, 255 do
        check(string.char(first, second))
      end
    end
  end)

  it("three and four bytes: every first and second byte, the others at the edges of what may continue", function()
    local edges = { 0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xFF }
    for first = 0xC0, 0xFF do
      for second = 0, 255 do
        for _, third in ipairs(edges) do
          check(string.char(first, second, third))
          for _, fourth in ipairs(first >= 0xF0 and edges or {}) do
            check(string.char(first, second, third, fourth))
          end
        end
      end
    end
  end)

  it("random bytes among good text", function()
    math.randomseed(3629)
    for _ = 1, 20000 do
      local parts = {}
      for i = 1, math.random(1, 8) do
        parts[i] = math.random(10) == 1 and string.char(math.random(0, 255))
          or encode(BOUNDARIES[math.random(#BOUNDARIES)])
      end
      check(table.concat(parts))
    end
  end)
end)

describe("a text in pieces", function()
  it("is complete between characters, waits inside them, and is never invalid", function()
    local ends = { [0] = true }
    local position = 1
    while position <= #MIXED do
      position = position + character_at(MIXED, position)
      ends[position - 1] = true
    end
    for last = 0, #MIXED do
      local state = state_after(MIXED:sub(1, last))
      assert.are.equal(ends[last] or false, state == Utf8.COMPLETE)
      assert.are_not.equal(Utf8.INVALID, state)
      assert.are.equal(Utf8.COMPLETE, state_after(MIXED:sub(last + 1), state), "split behind byte " .. last)
    end
  end)

  it("byte by byte and in three pieces", function()
    local state = Utf8.COMPLETE
    for character in MIXED:gmatch(".") do
      state = state_after(character, state)
    end
    assert.are.equal(Utf8.COMPLETE, state)
    for first = 0, #MIXED do
      for second = first, #MIXED do
        state = state_after(MIXED:sub(1, first))
        state = state_after(MIXED:sub(first + 1, second), state)
        assert.are.equal(Utf8.COMPLETE, state_after(MIXED:sub(second + 1), state))
      end
    end
  end)

  it("is invalid with the first byte that cannot be right, not later", function()
    for good, bad in pairs {
      ["\237"] = "\160",
      ["\224"] = "\159",
      ["\240"] = "\143",
      ["\244"] = "\144",
      ["\226\130"] = "A",
      ["\240\159\152"] = "\192",
      ["\195"] = "\195",
      ["ok"] = "\128",
    } do
      local state = state_after(good)
      assert.are_not.equal(Utf8.INVALID, state)
      assert.are.equal(Utf8.INVALID, state_after(bad, state))
      assert.are.equal(Utf8.INVALID, state_after(good .. bad .. "more"))
    end
  end)

  it("an empty piece changes nothing", function()
    for last = 0, #MIXED do
      local state = state_after(MIXED:sub(1, last))
      assert.are.equal(state, state_after("", state))
    end
  end)
end)

describe("four bytes at a time", function()
  it("stops before anything that is not ASCII, wherever it stands and however the text is aligned", function()
    for before = 0, 13 do
      for after = 0, 9 do
        for offset = 0, 3 do
          for _, special in ipairs {
            "",
            "\195\177",
            "\226\130\172",
            "\240\159\152\128",
            "\128",
            "\195",
            "\237\160\128",
            "\255",
          } do
            local text = ("a"):rep(before) .. special .. ("z"):rep(after)
            assert.are.equal(reference(text), state_after(("\255"):rep(offset) .. text, nil, offset) == Utf8.COMPLETE)
          end
        end
      end
    end
  end)

  it("does not begin inside a character, though ASCII follows", function()
    for waiting = 1, 3 do
      local state = state_after(("\240\159\152\128"):sub(1, waiting))
      assert.are.equal(Utf8.INVALID, state_after("abcdefgh", state))
      assert.are.equal(Utf8.COMPLETE, state_after(("\240\159\152\128"):sub(waiting + 1) .. "abcdefgh", state))
    end
  end)

  it("does not read behind the end", function()
    local text = "abcdefg\255\255\255\255"
    for length = 0, 7 do
      assert.are.equal(Utf8.COMPLETE, Utf8.validate(Utf8.COMPLETE, ffi.cast(bytes_of, text), length))
    end
  end)
end)

describe("a text that is scrubbed", function()
  it("stays as it is when it is valid", function()
    for _, text in ipairs { "", "abc", "Zo\195\171 \240\159\142\137", ("\226\130\172"):rep(100) } do
      assert.are.equal(text, Utf8.scrub(text))
    end
  end)

  it("has U+FFFD for each byte that is not", function()
    local function scrubbed(text) return (Utf8.scrub(text):gsub("\239\191\189", "?")) end
    assert.are.equal("a?b", scrubbed "a\255b")
    assert.are.equal("Zo\195\171??x", scrubbed "Zo\195\171\128\226x")
    assert.are.equal("??", scrubbed "\192\175")
    assert.are.equal("???", scrubbed "\237\160\128")
    assert.are.equal("\195\171?", scrubbed "\195\171\195")
  end)
end)
