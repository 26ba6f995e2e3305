-- Error answers of the control API, as problem details (RFC 9457).

local cjson = require "cjson.safe"
local HttpStatus = require "framegate.protocol.http_status"

local Problem = {}

Problem.TYPE = "application/problem+json"

--- The members that each problem has.
---@param status integer of HTTP
---@param detail string
---@return table
function Problem.members(status, detail)
  return { type = "about:blank", title = HttpStatus.name(status), status = status, detail = detail }
end

--- Makes an error answer.
---@param status integer of HTTP
---@param detail string what was expected, or what happened
---@param headers table<string, string>? of the answer
---@param more table<string, any>? further members (RFC 9457 section 3.2)
---@return { status: integer, body: string, type: string, headers: table? }
function Problem.new(status, detail, headers, more)
  local members = Problem.members(status, detail)
  for name, value in pairs(more or {}) do
    members[name] = value
  end
  return {
    status = status,
    body = cjson.encode(members),
    type = Problem.TYPE,
    headers = headers,
  }
end

return Problem
