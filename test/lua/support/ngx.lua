-- Puts the little of `ngx` in place that the modules use, so that they run without nginx. `now`, which both clocks read, stands
-- still until a spec sets it; `shared` holds what the shared dictionaries hold. support/threads.lua runs threads.

local Stub = { now = 0, shared = { gateway = { node = "node" }, closes = {} } }

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function sextet(bits)
  local value = tonumber(bits .. ("0"):rep(6 - #bits), 2)
  return ALPHABET:sub(value + 1, value + 1)
end

local function to_bits(number, count)
  local bits = {}
  for i = count, 1, -1 do
    bits[i] = number % 2
    number = (number - number % 2) / 2
  end
  return table.concat(bits)
end

local function encode_base64(text, is_unpadded)
  local bits = text:gsub(".", function(character) return to_bits(character:byte(), 8) end)
  return bits:gsub("%d%d?%d?%d?%d?%d?", sextet) .. (is_unpadded and "" or ("="):rep((3 - #text % 3) % 3))
end

-- nginx needs no padding.
local function decode_base64(text)
  text = text .. (text:find("=") and "" or ("="):rep(-#text % 4))
  if #text % 4 ~= 0 or not text:match("^[%w+/]*=?=?$") then
    return nil
  end
  local bits = text
    :gsub("=", "")
    :gsub(".", function(character) return to_bits(ALPHABET:find(character, 1, true) - 1, 6) end)
  bits = bits:sub(1, #bits - #bits % 8)
  return (bits:gsub("%d%d%d%d%d%d%d%d", function(byte) return string.char(tonumber(byte, 2)) end))
end

local function dictionary(values)
  return {
    get = function(_, name) return values[name] end,
    set = function(_, name, value) values[name] = value end,
    incr = function(_, name, step, initial)
      values[name] = (values[name] or initial) + step
      return values[name]
    end,
  }
end

rawset(_G, "ngx", {
  shared = { gateway = dictionary(Stub.shared.gateway), closes = dictionary(Stub.shared.closes) },
  now = function() return Stub.now end,
  config = {}, -- the vendored lua-resty-websocket asks whether this is a debug build
  encode_base64 = encode_base64,
  decode_base64 = decode_base64,
  sha1_bin = function(text) return text end,
})

package.preload["ngx.semaphore"] = function() return require "support.semaphore" end

local Clock = require "framegate.runtime.clock"
Clock.monotonic = function() return Stub.now end
Clock.loop_time = function() return Stub.now * 1000 end

return Stub
