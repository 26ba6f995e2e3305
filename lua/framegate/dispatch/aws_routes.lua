-- The routes of a WebSocket API as API Gateway has them: which one a message takes, and which function is behind it.
-- https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-routes.html

local cjson = require "cjson.safe"

local AwsRoutes = {}

AwsRoutes.CONNECT, AwsRoutes.DEFAULT, AwsRoutes.DISCONNECT = "$connect", "$default", "$disconnect"

local FUNCTION = "function" -- the name that AWS' runtime interface emulator has for the only function in an image
local PATH = "/2015-03-31/functions/%s/invocations" -- of Lambda's operation Invoke

---@class AwsRoutes
---@field private names table<string, string> of functions, by key
---@field private has table<string, true> the routes that messages may choose
---@field private expression string
local Routes = {}
Routes.__index = Routes

--- Makes the routes.
---@param settings { HANDLER_AWS_ROUTES: AwsRoute[], HANDLER_AWS_ROUTE_SELECTION: string }
---@return AwsRoutes
function AwsRoutes.new(settings)
  local self = setmetatable({ names = {}, has = {}, expression = settings.HANDLER_AWS_ROUTE_SELECTION }, Routes)
  for _, route in ipairs(settings.HANDLER_AWS_ROUTES) do
    self.names[route.key] = route.name
    self.has[route.key] = route.key:sub(1, 1) ~= "$" or nil
  end
  return self
end

-- A value in a message, as text. What is not there is an empty text.
local function value_at(message, path)
  local value = message
  for name in path:gmatch "[^.]+" do
    if type(value) ~= "table" then
      return ""
    end
    value = value[name]
  end
  local kind = type(value)
  return (kind == "string" or kind == "number" or kind == "boolean") and tostring(value) or ""
end

--- Finds the route of a message by the route selection expression.
---@param body string
---@param is_text boolean
---@return string key
function Routes:of_message(body, is_text)
  if not is_text or next(self.has) == nil then
    return AwsRoutes.DEFAULT
  end
  local message = cjson.decode(body)
  if type(message) ~= "table" then
    return AwsRoutes.DEFAULT
  end
  local path = self.expression:match "^%$request%.body%.(.*)$"
  local key = path and value_at(message, path)
    or self.expression:gsub("%${request%.body%.([^}]*)}", function(each) return value_at(message, each) end)
  return self.has[key] and key or AwsRoutes.DEFAULT
end

--- The path at which the function of a route is invoked.
---@param key string
---@return string
function Routes:path(key) return PATH:format(self.names[key] or FUNCTION) end

return AwsRoutes
