-- POST /batch: many requests in one, which run one after the other.

local cjson = require "cjson.safe"
local Api = require "framegate.control.api"
local Json = require "framegate.control.json"
local Problem = require "framegate.control.problem"
local Request = require "framegate.control.request"

local Batch = {}

local MAX_ELEMENTS = 1000

-- Runs one element: {"method","path","text" or "base64"}.
local function run_element(entry, key, traceparent)
  if type(entry) ~= "table" or type(entry.path) ~= "string" or entry.path:sub(1, 1) ~= "/" then
    return Problem.new(400, 'an element of a batch is {"method","path","text" or "base64"}')
  end
  local payload = entry.text or ""
  if entry.base64 ~= nil then
    payload = type(entry.base64) == "string" and ngx.decode_base64(entry.base64)
  end
  local method = entry.method or "POST"
  if type(payload) ~= "string" or type(method) ~= "string" then
    return Problem.new(400, "text is a string, base64 a string in base64, method a string")
  end
  local request, problem = Request.read {
    method = method,
    path = entry.path,
    payload = payload,
    content_type = entry.base64 and "application/octet-stream" or "text/plain",
    key = key,
    traceparent = traceparent,
  }
  local answer = request and Api.handle(request) or problem
  answer.is_read = Request.is_read(method)
  if method == "HEAD" then
    answer.body = "" -- RFC 9110 section 9.3.2
  end
  return answer
end

-- A JSON body becomes a part of the answer as it is, any other body a JSON string.
local function part_json(part)
  local body = part.body
  if body == "" then
    return ('{"status":%d}'):format(part.status)
  end
  local is_json = part.type:find("json", 1, true) ~= nil
  return ('{"status":%d,"body":%s}'):format(part.status, is_json and body or cjson.encode(body))
end

--- Estimates how many elements a body has, without parsing it.
---@param body string
---@return integer
function Batch.estimate(body)
  local _, paths = body:gsub('"path"', "")
  return math.min(paths, MAX_ELEMENTS)
end

--- Runs a batch.
---@param request { payload: string, key: string?, traceparent: string? } `payload`: JSON
---@param kept table<integer, table>? answers of elements that ran before, by position
---@return table answer with `parts`, the answers of the elements; or a problem with status 400 or 413
function Batch.run(request, kept)
  local body = request.payload
  local entries = cjson.decode(body)
  if type(entries) ~= "table" or not body:find("^%s*%[") then
    return Problem.new(400, 'a batch is a JSON array of {"method","path","text" or "base64"}')
  end
  if #entries > MAX_ELEMENTS then
    return Problem.new(413, ("a batch has at most %d elements"):format(MAX_ELEMENTS))
  end
  local parts = {}
  for i, entry in ipairs(entries) do
    parts[i] = kept and kept[i] or run_element(entry, request.key and request.key .. "/" .. i, request.traceparent)
  end
  return { status = 200, body = Json.array(parts, part_json), type = "application/json", parts = parts }
end

return Batch
