-- Random numbers that cost little and that somebody could guess: for ids of traces, which open nothing.
-- The generator is Marsaglia's xorshift128 (Xorshift RNGs, Journal of Statistical Software 8, 2003).

local bit = require "bit"
local ffi = require "ffi"

local band, bxor, lshift, rshift = bit.band, bit.bxor, bit.lshift, bit.rshift

local FastRandom = {}

local WORDS = 4
local RANGE = 4294967296 -- numbers in 32 bits

local state = ffi.new("int32_t[?]", WORDS)
local is_seeded = false -- each worker seeds its own, since forks would share what the master has

local function seed()
  local source = assert(io.open("/dev/urandom", "rb"))
  repeat
    ffi.copy(state, source:read(WORDS * 4), WORDS * 4)
  until state[0] ~= 0
  source:close()
  is_seeded = true
end

local function next_word()
  local x, w = state[0], state[3]
  local t = bxor(x, lshift(x, 11))
  state[0], state[1], state[2] = state[1], state[2], w
  w = bxor(w, rshift(w, 19), t, rshift(t, 8))
  state[3] = w
  return w
end

-- The two digits of each byte.
local digits = ffi.new("uint16_t[256]")
for value = 0, 255 do
  ffi.copy(digits + value, ("%02x"):format(value), 2)
end

--- Writes random hexadecimal digits.
---@param target ffi.cdata* char *
---@param words integer of eight digits each
function FastRandom.write_hex(target, words)
  if not is_seeded then
    seed()
  end
  target = ffi.cast("uint16_t *", target)
  for i = 0, 4 * words - 4, 4 do
    local word = next_word()
    target[i] = digits[band(word, 255)]
    target[i + 1] = digits[band(rshift(word, 8), 255)]
    target[i + 2] = digits[band(rshift(word, 16), 255)]
    target[i + 3] = digits[rshift(word, 24)]
  end
end

--- A random number.
---@return number number from 0, below 1
function FastRandom.share()
  if not is_seeded then
    seed()
  end
  return next_word() % RANGE / RANGE
end

return FastRandom
