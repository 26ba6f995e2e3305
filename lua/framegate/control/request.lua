-- Parses a request to the control API: the path into segments, the query into parameters.

local Problem = require "framegate.control.problem"

local Request = {}

local MAX_PARAMETERS = 100
local NAME_BYTES = 100 -- of a parameter, in a message

--- Splits a path.
---@param path string as it was sent, with its query
---@return string[] segments decoded
function Request.segments(path)
  local segments = {}
  for segment in path:gsub("%?.*$", ""):gmatch("/([^/]*)") do
    segments[#segments + 1] = ngx.unescape_uri((segment:gsub("%+", "%%2B")))
  end
  if segments[#segments] == "" then
    segments[#segments] = nil
  end
  return segments
end

local function query_of(path)
  local query, err = ngx.decode_args(path:match("%?(.*)$") or "", MAX_PARAMETERS)
  if err then
    return nil, Problem.new(400, ("a request has at most %d parameters"):format(MAX_PARAMETERS))
  end
  for name, value in pairs(query) do
    if type(value) == "table" then
      return nil, Problem.new(400, "the parameter " .. name:sub(1, NAME_BYTES) .. " may be given once")
    end
    query[name] = value == true and "" or value
  end
  return query
end

--- Whether a method only reads. HEAD is GET without a body (RFC 9110 section 9.3.2).
---@param method string
---@return boolean
function Request.is_read(method) return method == "GET" or method == "HEAD" end

--- Reads a whole number in the query of a request.
---@param request { query: table<string, string> }
---@param name string of the parameter
---@param bounds { default: integer, most: integer } the least is 1
---@return integer? number
---@return table? problem with status 400
function Request.number(request, name, bounds)
  local text = request.query[name] or tostring(bounds.default)
  local number = text:match("^%d+$") and tonumber(text)
  if not number or number < 1 or number > bounds.most then
    return nil, Problem.new(400, ("%s is a whole number from 1 to %d"):format(name, bounds.most))
  end
  return number
end

---@class ControlRequest
---@field method string GET in place of HEAD
---@field segments string[] of the path, decoded
---@field query table<string, string>
---@field payload string
---@field content_type string?
---@field accept string? what types the answer may have
---@field key string? of a request that all nodes run once, from its idempotency-key
---@field traceparent string? of the request

--- Parses a request. Its `path` is as it was sent, with the query.
---@param parts { method: string, path: string, payload: string, content_type: string?, accept: string?,
---  key: string?, traceparent: string? }
---@return ControlRequest? request
---@return table? problem
function Request.read(parts)
  local query, problem = query_of(parts.path)
  if not query then
    return nil, problem
  end
  return {
    method = parts.method == "HEAD" and "GET" or parts.method,
    segments = Request.segments(parts.path),
    query = query,
    payload = parts.payload,
    content_type = parts.content_type,
    accept = parts.accept,
    key = parts.key,
    traceparent = parts.traceparent,
  }
end

return Request
