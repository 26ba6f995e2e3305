-- Errors of the control API: problem details (RFC 9457).

local cjson = require "cjson.safe"

local Problem = {}

local TITLES = {
  [400] = "Bad Request",
  [401] = "Unauthorized",
  [403] = "Forbidden",
  [404] = "Not Found",
  [405] = "Method Not Allowed",
  [409] = "Conflict",
  [410] = "Gone",
  [413] = "Content Too Large",
  [414] = "URI Too Long",
  [422] = "Unprocessable Content",
  [429] = "Too Many Requests",
  [500] = "Internal Server Error",
  [504] = "Gateway Timeout",
}

---@param status integer
---@param detail string what was expected, or what became of it
---@param headers table<string, string>? of the answer
---@return { status: integer, body: string, type: string, headers: table? }
function Problem.new(status, detail, headers)
  return {
    status = status,
    body = cjson.encode { type = "about:blank", title = TITLES[status], status = status, detail = detail },
    type = "application/problem+json",
    headers = headers,
  }
end

return Problem
