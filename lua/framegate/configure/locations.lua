-- Checks the settings in nginx/locations.d/.
-- nginx itself would accept any value, and any misspelt name as a new variable.

local Values = require "framegate.configure.values"

local Locations = {}

local function close_or_nothing(text)
  if text ~= "close" and text ~= "" then
    return nil, "close"
  end
  return text
end

--- The settings of a location, each with the function that reads its value.
Locations.settings = { ws_rate = Values.rate, ws_overflow = close_or_nothing }

local function expected_of(name, value)
  local read = Locations.settings[name]
  if not read then
    return "one of $ws_overflow and $ws_rate"
  end
  local result, expected = read(value)
  return result == nil and expected or nil
end

--- Checks the lines `set $ws_…;` of a file. Values that contain nginx variables are not checked.
---@param path string for the messages
---@param text string
---@return string[] problems one line each, with file and line number
function Locations.check(path, text)
  local problems = {}
  text = text:gsub("#[^\n]*", "")
  for place, name, value in text:gmatch("()set%s+%$(ws_[%w_]+)%s+([^;]-)%s*;") do
    value = value:match('^"(.*)"$') or value:match("^'(.*)'$") or value
    local expected = not value:find("$", 1, true) and expected_of(name, value)
    if expected then
      local _, lines = text:sub(1, place):gsub("\n", "")
      problems[#problems + 1] = ("%s:%d: set $%s %s: expected %s"):format(path, lines + 1, name, value, expected)
    end
  end
  return problems
end

return Locations
