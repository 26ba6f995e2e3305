-- Errors of the control API: problem details (RFC 9457).

local cjson = require "cjson.safe"
local HttpStatus = require "framegate.protocol.http_status"

local Problem = {}

---@param status integer
---@param detail string what was expected, or what became of it
---@param headers table<string, string>? of the answer
---@return { status: integer, body: string, type: string, headers: table? }
function Problem.new(status, detail, headers)
  return {
    status = status,
    body = cjson.encode { type = "about:blank", title = HttpStatus.name(status), status = status, detail = detail },
    type = "application/problem+json",
    headers = headers,
  }
end

return Problem
