-- Validates UTF-8 incrementally (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
-- The state between two calls is one number, so a text may arrive in pieces of any size.

local bit = require "bit"
local ffi = require "ffi"

local band = bit.band
local words = ffi.typeof("const uint32_t *")

local Utf8 = {}

local REPLACEMENT = "\239\191\189" -- U+FFFD

--- The state of a text that is complete so far. Every other state except INVALID waits for more bytes.
local COMPLETE = 0
local INVALID = 1
Utf8.COMPLETE = COMPLETE
Utf8.INVALID = INVALID

-- The states that wait: for one, two or three continuation bytes, or for a restricted one after the named byte.
local LAST, TWO, THREE, AFTER_E0, AFTER_ED, AFTER_F0, AFTER_F4 = 2, 3, 4, 5, 6, 7, 8
local STATES = 9

local step = ffi.new("uint8_t[?]", STATES * 256)

local function fill(state, first, last, to)
  for byte = first, last do
    step[state * 256 + byte] = to
  end
end

for state = 0, STATES - 1 do
  fill(state, 0, 255, INVALID)
end
fill(COMPLETE, 0x00, 0x7F, COMPLETE)
fill(COMPLETE, 0xC2, 0xDF, LAST)
fill(COMPLETE, 0xE0, 0xE0, AFTER_E0)
fill(COMPLETE, 0xE1, 0xEC, TWO)
fill(COMPLETE, 0xED, 0xED, AFTER_ED)
fill(COMPLETE, 0xEE, 0xEF, TWO)
fill(COMPLETE, 0xF0, 0xF0, AFTER_F0)
fill(COMPLETE, 0xF1, 0xF3, THREE)
fill(COMPLETE, 0xF4, 0xF4, AFTER_F4)
fill(LAST, 0x80, 0xBF, COMPLETE)
fill(TWO, 0x80, 0xBF, LAST)
fill(THREE, 0x80, 0xBF, TWO)
fill(AFTER_E0, 0xA0, 0xBF, LAST)
fill(AFTER_ED, 0x80, 0x9F, LAST)
fill(AFTER_F0, 0x90, 0xBF, TWO)
fill(AFTER_F4, 0x80, 0x8F, TWO)

--- Validates `length` more bytes, from `state`.
---@param state integer COMPLETE at the start of a text, later the result of the previous call
---@param bytes ffi.cdata* const uint8_t *
---@param length integer bytes
---@return integer state COMPLETE, INVALID, or a state that waits for more
function Utf8.validate(state, bytes, length)
  local i = 0
  if state == COMPLETE then
    local four = ffi.cast(words, bytes)
    local whole = (length - length % 4) / 4
    while i < whole and band(four[i], 0x80808080) == 0 do
      i = i + 1
    end
    i = i * 4
  end
  while i < length do
    state = step[state * 256 + bytes[i]]
    if state == INVALID then
      return INVALID
    end
    i = i + 1
  end
  return state
end

--- Whether a whole string is valid UTF-8.
---@param text string
---@return boolean
function Utf8.is_valid(text) return Utf8.validate(COMPLETE, ffi.cast("const uint8_t *", text), #text) == COMPLETE end

-- Replaces the invalid bytes in a run of bytes above ASCII.
local function scrub(sequence)
  local clean, first = {}, 1
  while first <= #sequence do
    local last = math.min(first + 3, #sequence)
    while last >= first and not Utf8.is_valid(sequence:sub(first, last)) do
      last = last - 1
    end
    clean[#clean + 1] = last >= first and sequence:sub(first, last) or REPLACEMENT
    first = math.max(last, first) + 1
  end
  return table.concat(clean)
end

--- Replaces every invalid byte of a text with U+FFFD.
---@param text string
---@return string
function Utf8.scrub(text)
  if Utf8.is_valid(text) then
    return text
  end
  return (text:gsub("[\128-\255]+", scrub))
end

return Utf8
