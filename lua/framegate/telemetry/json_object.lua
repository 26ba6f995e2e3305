-- Writes JSON objects whose members keep their order, for SOCKET_LOG and for the list of closed sockets.

local cjson = require "cjson.safe"

local JsonObject = {}

--- Writes one value as JSON. Slashes, which cjson escapes, stay as they are.
---@param value string|number
---@return string
function JsonObject.value(value) return (cjson.encode(value):gsub("\\/", "/")) end

--- Writes an object. A value is a string, a number, or a table with a JSON text.
--- Members with the value nil are left out.
---@param members { [1]: string, [2]: string|number|table|nil }[] in their order
---@return string
function JsonObject.write(members)
  local written = {}
  for _, member in ipairs(members) do
    local name, value = member[1], member[2]
    if value ~= nil then
      written[#written + 1] = ('"%s":%s'):format(name, type(value) == "table" and value[1] or JsonObject.value(value))
    end
  end
  return "{" .. table.concat(written, ",") .. "}"
end

return JsonObject
