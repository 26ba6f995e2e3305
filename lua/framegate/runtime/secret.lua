-- Compares secrets in a time that does not tell how much of them was right.

local bit = require "bit"

local Secret = {}

--- Digests have one length, whatever was sent.
---@param given string
---@param expected string
---@return boolean
function Secret.is_same(given, expected)
  local a, b = ngx.sha1_bin(given), ngx.sha1_bin(expected)
  local difference = 0
  for i = 1, #b do
    difference = bit.bor(difference, bit.bxor(a:byte(i), b:byte(i)))
  end
  return difference == 0
end

return Secret
