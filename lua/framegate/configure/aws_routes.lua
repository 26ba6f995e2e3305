-- Reads the routes of a WebSocket API that was behind API Gateway: HANDLER_AWS_ROUTES, HANDLER_AWS_ROUTE_SELECTION.

local Values = require "framegate.configure.values"

local AwsRoutes = {}

local EXPECTED = "keys of routes, each perhaps with the name of its function, such as join $connect=OnConnect"
local OWN = { ["$connect"] = true, ["$default"] = true, ["$disconnect"] = true }
local VARIABLE = "request%.body%.[%w_.-]+"

---@class AwsRoute
---@field key string
---@field name string? of the function

local function route(text)
  local key, name = text:match "^([^=]+)=?(.*)$"
  local has_name = text:find("=", 1, true) ~= nil
  if not key or key:find "^%$" and not OWN[key] or has_name and not name:find "^[%w_.:-]+$" then
    return nil, EXPECTED
  end
  return { key = key, name = has_name and name or nil }
end

--- Reads routes.
---@type fun(text: string): AwsRoute[]?, string?
AwsRoutes.parse = Values.list(route)

--- Reads the expression that finds the route of a message, as API Gateway has it.
---@param text string
---@return string? expression
---@return string? expected in words
function AwsRoutes.expression(text)
  local rest, count = text:gsub("%${" .. VARIABLE .. "}", "")
  local is_alone = text:find("^%$" .. VARIABLE .. "$") ~= nil
  if not is_alone and (count == 0 or rest:find "[%${}%s]") then
    return nil, "an expression such as $request.body.action or ${request.body.service}/${request.body.action}"
  end
  return text
end

return AwsRoutes
