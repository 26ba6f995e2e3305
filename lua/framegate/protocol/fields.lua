-- Header fields as a recipient reads them. nginx takes spaces around a value away, and leaves tabs.

local Fields = {}

local TOKEN = "^[%w!#$%%&'*+%-.^_`|~]+$"

local function trim(value) return (value:gsub("^[ \t]+", ""):gsub("[ \t]+$", "")) end

--- Takes the white space around all values away (RFC 9110 section 5.5).
---@param headers table by name; a header that came more than once is a list
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

--- Whether a text is a token, as names of headers and of subprotocols are (RFC 9110 section 5.6.2).
---@param text string
---@return boolean
function Fields.is_token(text) return text:match(TOKEN) ~= nil end

return Fields
