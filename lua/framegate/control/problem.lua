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

--- Makes the answer 503 for a node, or Redis, that cannot be reached now.
---@param detail string
---@param members table? as of `new`
---@return table answer
function Problem.unreachable(detail, members) return Problem.new(503, detail, { ["Retry-After"] = "1" }, members) end

--- Makes the answer for a connection that did not get a request.
---@param err "gone"|"timeout"|"unreachable" as of Push:ask
---@return table answer
function Problem.gone(err)
  if err == "timeout" then
    return Problem.new(
      504,
      "the worker that holds this connection did not answer: what became of the request is not known"
    )
  elseif err == "unreachable" then
    return Problem.unreachable "the node that holds this connection cannot be reached now: what became of the request is not known"
  end
  return Problem.new(410, "this connection is gone, or never was")
end

return Problem
