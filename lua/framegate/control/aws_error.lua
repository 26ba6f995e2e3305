-- Errors of the resource @connections, in the form that AWS' SDKs read (protocol restJson1): the name of an exception in a
-- header, and a JSON body with `message`. Only names that API Gateway uses cause the SDKs to repeat a request, or not to.

local cjson = require "cjson.safe"

local AwsError = {}

-- The exceptions by what is wrong.
local KINDS = {
  unauthorized = { 401, "UnauthorizedException" },
  forbidden = { 403, "ForbiddenException" },
  -- SDKs that find this name, or "Signature expired", set their clock by the header Date and ask again.
  skewed = { 403, "InvalidSignatureException" },
  method = { 405, "MethodNotAllowedException" },
  gone = { 410, "GoneException" },
  unsized = { 411, "LengthRequiredException" },
  too_large = { 413, "PayloadTooLargeException" },
  full = { 429, "LimitExceededException" },
  unreachable = { 503, "ServiceUnavailableException" },
  timeout = { 504, "GatewayTimeoutException" },
}

--- Makes an error answer.
---@param kind string one of those above
---@param message string
---@param headers table<string, string>? of the answer
---@return { status: integer, body: string, type: string, headers: table }
function AwsError.new(kind, message, headers)
  local status, name = unpack(KINDS[kind])
  headers = headers or {}
  headers["x-amzn-ErrorType"] = name
  return { status = status, body = cjson.encode { message = message }, type = "application/json", headers = headers }
end

return AwsError
