-- Checks the settings in nginx/locations.d/.
-- nginx itself would accept any value, and any misspelt name as a new variable.

local Dialect = require "framegate.configure.dialect"
local Values = require "framegate.configure.values"

local Locations = {}

local function close_or_nothing(text)
  if text ~= "close" and text ~= "" then
    return nil, "close"
  end
  return text
end

local function text_mode(text)
  if text ~= "text" and text ~= "json" and text ~= "form" then
    return nil, "text, json or form"
  end
  return text
end

--- The settings of a location, each with the function that reads its value.
Locations.settings = {
  ws_rate = Values.rate,
  ws_overflow = close_or_nothing,
  ws_handler = Values.handlers,
  ws_text = text_mode,
  ws_cache = Values.switch,
  ws_protocol = Dialect.name,
}

local function expected_of(name, value)
  local read = Locations.settings[name]
  if not read then
    return "one of $ws_cache, $ws_handler, $ws_overflow, $ws_protocol, $ws_rate and $ws_text"
  end
  local result, expected = read(value)
  return result == nil and expected or nil
end

-- Each line `set $ws_…;`: its place, name and value.
local function lines_of(text)
  local next_line = text:gmatch("()set%s+%$(ws_[%w_]+)%s+([^;]-)%s*;")
  return function()
    local place, name, value = next_line()
    return place, name, value and (value:match('^"(.*)"$') or value:match("^'(.*)'$") or value)
  end
end

local function without_comments(text) return (text:gsub("#[^\n]*", "")) end

--- The handlers that `set $ws_handler` names, each once.
---@param texts string[] of the files
---@return string[] handlers each a list of URLs
function Locations.handlers(texts)
  local handlers, has = {}, {}
  for _, name, value in lines_of(without_comments(table.concat(texts, "\n"))) do
    local urls = name == "ws_handler" and Values.handlers(value)
    local handler = urls and table.concat(urls, ", ")
    if handler and not has[handler] then
      has[handler] = true
      handlers[#handlers + 1] = handler
    end
  end
  return handlers
end

--- Checks the lines `set $ws_…;` of a file. Values that contain nginx variables are not checked, except for a handler:
--- its addresses must be known before the first event.
---@param path string for the messages
---@param text string
---@return string[] problems one line each, with file and line number
function Locations.check(path, text)
  local problems = {}
  text = without_comments(text)
  for place, name, value in lines_of(text) do
    local is_checked = name == "ws_handler" or not value:find("$", 1, true)
    local expected = is_checked and expected_of(name, value)
    if expected then
      local _, lines = text:sub(1, place):gsub("\n", "")
      problems[#problems + 1] = ("%s:%d: set $%s %s: expected %s"):format(path, lines + 1, name, value, expected)
    end
  end
  return problems
end

return Locations
