-- Reason phrases of HTTP (RFC 9110 section 15), and JSON bodies of errors in the format of Fastify's own errors.

local cjson = require "cjson.safe"
local Utf8 = require "framegate.protocol.utf8"

local HttpStatus = {}

local NAMES = {
  [400] = "Bad Request",
  [401] = "Unauthorized",
  [403] = "Forbidden",
  [404] = "Not Found",
  [405] = "Method Not Allowed",
  [406] = "Not Acceptable",
  [409] = "Conflict",
  [410] = "Gone",
  [413] = "Content Too Large",
  [414] = "URI Too Long",
  [415] = "Unsupported Media Type",
  [422] = "Unprocessable Content",
  [426] = "Upgrade Required",
  [429] = "Too Many Requests",
  [500] = "Internal Server Error",
  [502] = "Bad Gateway",
  [503] = "Service Unavailable",
  [504] = "Gateway Timeout",
}

--- The reason phrase of a status that the gateway itself answers with.
---@param status integer
---@return string? name nil for other statuses
function HttpStatus.name(status) return NAMES[status] end

--- Writes the body of an error, which clients get in a frame.
---@param error { status: integer, name: string?, message: string, id: string?, trace_id: string?, retry_after: number? }
---  `name` defaults to the reason phrase; `id` and `trace_id` are those of the event; `retry_after` is in seconds
---@return string JSON, its members in this order
function HttpStatus.error_body(error)
  return ('{"statusCode":%d,"error":%s,"message":%s%s%s%s}'):format(
    error.status,
    cjson.encode(error.name or NAMES[error.status]),
    Utf8.scrub(cjson.encode(error.message)), -- RFC 8259 section 8.1
    error.id and ',"id":' .. cjson.encode(error.id) or "",
    error.trace_id and ',"traceId":"' .. error.trace_id .. '"' or "",
    error.retry_after and (',"retryAfter":%.3f'):format(error.retry_after) or ""
  )
end

return HttpStatus
