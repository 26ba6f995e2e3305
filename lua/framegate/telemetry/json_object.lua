-- JSON objects whose members keep their order: lines of SOCKET_LOG, and the list of closed sockets.

local cjson = require "cjson.safe"

local JsonObject = {}

--- One value as JSON. cjson escapes slashes, which nobody needs here.
---@param value string|number
---@return string
function JsonObject.value(value) return (cjson.encode(value):gsub("\\/", "/")) end

--- Values are texts and numbers, or JSON that is written already, in a table; members that are nil are left out.
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
