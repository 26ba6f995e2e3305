-- Reads the values of variables about several gateways, in the way of values.lua.

local Values = require "framegate.configure.values"

local ClusterValues = {}

--- A short name for people, which is also part of keys and channels.
---@return string?
function ClusterValues.name(text)
  if not text:match("^[%w%-%._]+$") or #text > 64 then
    return nil, "a name of at most 64 letters, digits, dots, dashes and underscores"
  end
  return text
end

-- RFC 9110 section 5.1. HTTP/1.1 does not distinguish upper and lower case.
local function header_name(text)
  if not text:match("^[%w!#$%%&'*+%-.^_`|~]+$") then
    return nil, "names of headers, separated by commas, or off"
  end
  return text:lower()
end

--- A list of header names, in lower case; `off` is an empty one.
---@return string[]?
function ClusterValues.headers(text)
  if text == "off" then
    return {}
  end
  return Values.list(header_name)(text)
end

return ClusterValues
