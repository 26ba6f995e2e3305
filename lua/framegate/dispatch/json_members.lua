-- Header lines as members of a JSON object, for the elements of a batch.

local cjson = require "cjson.safe"

local concat, gsub = table.concat, string.gsub

local JsonMembers = {}

local function to_utf8(character)
  local code = character:byte()
  return code < 0xC0 and "\xC2" .. character or "\xC3" .. string.char(code - 0x40)
end

--- Quotes a text. Bytes above 127 are read as Latin-1, because Node reads the path and the headers of a request so.
---@param text string
---@return string
function JsonMembers.quote(text) return cjson.encode((gsub(text, "[\128-\255]", to_utf8))) end

local quote = JsonMembers.quote

--- Turns header lines into members, each with a comma after it.
---@param lines string
---@return string
function JsonMembers.of_lines(lines)
  local members = {}
  for name, value in lines:gmatch("([^:\r\n]+): ([^\r\n]*)\r\n") do
    members[#members + 1] = quote(name) .. ":" .. quote(value) .. ","
  end
  return concat(members)
end

return JsonMembers
