-- Reads how a handler speaks: HANDLER_PROTOCOL and `set $ws_protocol`, and the names and keys of GRIP.

local Dialect = {}

--- The name of a dialect.
---@param text string
---@return string? name
---@return string? expected in words
function Dialect.name(text)
  if text ~= "framegate" and text ~= "aws" and text ~= "grip" then
    return nil, "framegate, aws or grip"
  end
  return text
end

--- The issuer of Grip-Sig.
---@param text string
---@return string? issuer
---@return string? expected in words
function Dialect.issuer(text)
  if not text:match("^[ -~]+$") then
    return nil, "a text of printable ASCII"
  end
  return text
end

local function is_base64(text) return #text > 0 and #text % 4 == 0 and text:find("^[%w+/]+=?=?$") ~= nil end

--- A key that is shared with backends and publishers.
---@param text string
---@return string? key as it is written
---@return string? expected in words
function Dialect.key(text)
  local base64 = text:match("^base64:(.*)$")
  if not text:match("^[!-~]+$") or base64 and not is_base64(base64) then
    return nil, "a text of printable ASCII without spaces, or base64: and the key in base64"
  end
  return text
end

return Dialect
