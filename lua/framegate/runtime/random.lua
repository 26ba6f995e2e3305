-- Makes names that nobody can guess, from the kernel's random numbers (random(4)).

local ffi = require "ffi"

local Random = {}

local source = assert(io.open("/dev/urandom", "rb"))
source:setvbuf("no") -- forks would share the bytes that one process has read ahead

--- Makes a name of letters, digits, - and _ (base64url, RFC 4648 section 5).
--- It does not begin with -, which would look like an option on a command line.
---@param length integer characters, six bits each
---@return string
function Random.name(length)
  local text = ngx.encode_base64(source:read(math.ceil(length * 3 / 4)), true)
  if text:sub(1, 1) == "+" then
    return Random.name(length)
  end
  return (text:sub(1, length):gsub("[+/]", { ["+"] = "-", ["/"] = "_" }))
end

local POOL_BYTES = 4096 -- read from the kernel together: a read of few bytes takes as long

local pool, used = ffi.new("uint8_t[?]", POOL_BYTES), POOL_BYTES

-- The digits of each byte.
local digits = ffi.new("char[256][2]")
for value = 0, 255 do
  ffi.copy(digits[value], ("%02x"):format(value), 2)
end

local function next_byte()
  if used == POOL_BYTES then
    ffi.copy(pool, source:read(POOL_BYTES), POOL_BYTES)
    used = 0
  end
  used = used + 1
  return pool[used - 1]
end

--- Writes random hexadecimal digits.
---@param target ffi.cdata* char *
---@param count integer bytes, of two digits each
function Random.write_hex(target, count)
  for i = 0, count - 1 do
    local pair = digits[next_byte()]
    target[2 * i], target[2 * i + 1] = pair[0], pair[1]
  end
end

--- A random number.
---@return number number from 0, below 1
function Random.share() return (next_byte() * 65536 + next_byte() * 256 + next_byte()) / 16777216 end

return Random
