-- Normalizes and checks header fields. nginx removes spaces around a value, but not tabs.

local Fields = {}

local TOKEN = "^[%w!#$%%&'*+%-.^_`|~]+$"

--- Removes the white space around a value (RFC 9110 section 5.5).
--- The time it takes grows only linearly: a pattern such as `[ \t]+$` would try each blank of a long run anew.
---@param value string
---@return string
function Fields.trim_value(value)
  local first = value:find("[^ \t]")
  return first and value:match(".*[^ \t]", first) or ""
end

local trim = Fields.trim_value

--- Removes the white space around all values.
---@param headers table values by name; a header that came more than once has a list
---@return table headers the same table
function Fields.trim(headers)
  for name, value in pairs(headers) do
    if type(value) == "table" then
      for i, each in ipairs(value) do
        value[i] = trim(each)
      end
    elseif type(value) == "string" then
      headers[name] = trim(value)
    end
  end
  return headers
end

--- Whether a text is a token (RFC 9110 section 5.6.2). Names of headers and subprotocols must be tokens.
---@param text string
---@return boolean
function Fields.is_token(text) return text:match(TOKEN) ~= nil end

return Fields
