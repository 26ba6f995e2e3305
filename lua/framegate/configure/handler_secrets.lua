-- Reads HANDLER_SECRET: with what events are signed (dispatch/signer.lua).

local Values = require "framegate.configure.values"

local HandlerSecrets = {}

local EXPECTED = "one or two secrets of Standard Webhooks, separated by a comma: whsec_ and 24 to 64 bytes in base64"
local LEAST, MOST = 24, 64 -- bytes

local function secret(text)
  local digits, padding = text:match("^whsec_([%w+/]+)(=?=?)$")
  local characters = digits and #digits + #padding or 1
  if characters % 4 ~= 0 then
    return nil, EXPECTED
  end
  local bytes = characters / 4 * 3 - #padding
  if bytes < LEAST or bytes > MOST then
    return nil, EXPECTED
  end
  return text
end

local list = Values.list(secret)

--- Reads one secret, or two during a rotation.
---@param text string
---@return string[]? secrets as they are written
---@return string? expected in words
function HandlerSecrets.parse(text)
  local secrets = list(text)
  if not secrets or #secrets > 2 then
    return nil, EXPECTED
  end
  return secrets
end

return HandlerSecrets
