-- Writes JSON in parts, because cjson cannot distinguish an empty list from an empty object.

local cjson = require "cjson.safe"

local Json = {}

--- Writes a list as a JSON array, also when it is empty.
---@param list table
---@param encode nil|fun(item: any): string for each item; cjson.encode by default
---@return string
function Json.array(list, encode)
  local items = {}
  for i, item in ipairs(list) do
    items[i] = (encode or cjson.encode)(item)
  end
  return "[" .. table.concat(items, ",") .. "]"
end

--- Writes an object, some of whose members are JSON texts already.
---@param object table
---@param written { [1]: string, [2]: string }[] names and JSON texts, in their order
---@return string
function Json.object(object, written)
  local members = {}
  local rest = cjson.encode(object)
  if rest ~= "{}" then
    members[1] = rest:sub(2, -2)
  end
  for _, member in ipairs(written) do
    members[#members + 1] = cjson.encode(member[1]) .. ":" .. member[2]
  end
  return "{" .. table.concat(members, ",") .. "}"
end

return Json
