-- Compares secrets in constant time, so that the time does not reveal how many bytes were right.

local bit = require "bit"

local Secret = {}

--- Whether two secrets are equal. It compares digests, because these all have the same length.
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
