-- Reads how a handler speaks: HANDLER_PROTOCOL and `set $ws_protocol`.

local Dialect = {}

--- The name of a dialect.
---@param text string
---@return string? name
---@return string? expected in words
function Dialect.name(text)
  if text ~= "framegate" and text ~= "aws" then
    return nil, "framegate or aws"
  end
  return text
end

return Dialect
