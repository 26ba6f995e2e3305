-- The resource @connections: the management API of API Gateway's WebSockets, for AWS' SDKs as they are.
-- https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html

local cjson = require "cjson.safe"
local Access = require "framegate.control.access"
local Api = require "framegate.control.api"
local AwsAccess = require "framegate.control.aws_access"
local AwsError = require "framegate.control.aws_error"
local Config = require "framegate.config"
local Problem = require "framegate.control.problem"
local Random = require "framegate.runtime.random"
local Request = require "framegate.control.request"
local Turn = require "framegate.runtime.turn"
local Utf8 = require "framegate.protocol.utf8"

local AwsConnections = {}

local MOST_BYTES = 128 * 1024 -- of a message, as API Gateway allows
local NORMAL = 1000
local INVOCATION = "amz-sdk-invocation-id" -- SDKs keep it when they repeat a request

local push

--- Gives this module the instances of its worker.
---@param worker Worker
function AwsConnections.wire(worker) push = worker.push end

--- Finds the connection that a path names: /@connections/{id}, or a stage before that. The API's own resources come first.
--- An SDK whose endpoint ends with a slash sends two of them.
---@param path string as it was sent
---@return string? id nil if the path is not of this resource
function AwsConnections.id_of(path)
  local segments = Request.segments((path:gsub("^([^?]*)//", "%1/")))
  local count = #segments
  if count > 3 or segments[count - 1] ~= "@connections" or Api.has(segments) then
    return nil
  end
  return segments[count]
end

local function failed(err)
  if err == "timeout" then
    return AwsError.new("timeout", "the worker that holds this connection did not answer")
  elseif err == "unreachable" then
    return AwsError.new(
      "unreachable",
      "the node that holds this connection cannot be reached",
      { ["Retry-After"] = "1" }
    )
  end
  return AwsError.new("gone", "this connection is gone, or never was")
end

local function too_large()
  local most = math.min(MOST_BYTES, Config.MAX_MESSAGE_BYTES)
  return AwsError.new("too_large", ("a message may have %d bytes at most"):format(most))
end

local function is_too_large(bytes) return bytes > MOST_BYTES or bytes > Config.MAX_MESSAGE_BYTES end

-- What is the same in a repeat of a request, and in no other one; nil without the header of SDKs. It counts in the whole
-- cluster. A request that has the id of another one, and asks for something else, is no repeat of it.
local function key_of(id, request)
  local invocation = request.headers[INVOCATION]
  if type(invocation) ~= "string" or invocation == "" then
    return nil
  end
  local parts = { invocation, request.method, id, request.payload }
  return "aws/" .. ngx.encode_base64(ngx.sha1_bin(table.concat(parts, "\0")))
end

-- The SDKs send all messages with one content type, so the bytes decide what a message is.
local function post(id, request)
  local payload, traceparent = request.payload, request.headers.traceparent
  if is_too_large(#payload) then
    return too_large()
  end
  local result, err = push:send(id, {
    payload = payload,
    is_text = Utf8.is_valid(payload),
    key = key_of(id, request),
    traceparent = type(traceparent) == "string" and traceparent or nil,
  })
  if not result then
    return failed(err)
  elseif result.delivered == 0 then
    return AwsError.new("full", "the connection does not read as fast as it is sent to", { ["Retry-After"] = "1" })
  end
  return { status = 200, body = "", headers = { ["Content-Length"] = 0 } }
end

local function describe(id)
  local result, err = push:ask(id, { op = "describe", args = { has_visit = true }, payload = "", is_read = true })
  if not result then
    return failed(err)
  end
  local facts = result.connection
  return {
    status = 200,
    type = "application/json",
    body = cjson.encode {
      connectedAt = facts.opened,
      lastActiveAt = facts.active or facts.opened,
      identity = { sourceIp = facts.address, userAgent = facts.agent or "" },
    },
  }
end

local function delete(id, request)
  local args = { code = NORMAL, reason = "" }
  local result, err = push:ask(id, { op = "close", args = args, payload = "", key = key_of(id, request) })
  return result and { status = 204, body = "" } or failed(err)
end

local ACTS = { POST = post, GET = describe, DELETE = delete }

---@class AwsRequest
---@field id string of the connection
---@field method string
---@field path string as it was sent, with the query
---@field headers table<string, string|string[]>
---@field is_local boolean whether it came over the unix socket
---@field read_body fun(): string
---@field payload string? its body, when that was read

-- A body is read only if its size is known to be small, because a stranger may send it.
local function size_problem(headers)
  if headers["transfer-encoding"] then
    return AwsError.new("unsized", "send content-length, and no transfer-encoding")
  end
  local length = headers["content-length"]
  return type(length) == "string" and is_too_large(tonumber(length)) and too_large() or nil
end

-- Checks access and size, then reads the body, which the signature covers.
local function refusal(request)
  local is_signed = not request.is_local and AwsAccess.is_signed(request.headers)
  local claim, problem
  if is_signed then
    claim, problem = AwsAccess.claim(request.headers)
  else
    problem = Access.refusal(request)
  end
  problem = problem or size_problem(request.headers)
  if problem then
    return problem
  end
  request.payload = request.read_body()
  return claim and AwsAccess.refusal(claim, request) or nil
end

--- Accepts a request: checks who sends it, and reads its body.
---@param request AwsRequest gets its `payload`
---@return table? answer when it is refused
function AwsConnections.refusal(request)
  local problem = refusal(request)
  if problem then
    Turn.next() -- a stranger may send any number of requests together, and others are served in between
  end
  return problem
end

--- Does the work of a request that was accepted.
---@param request AwsRequest
---@return table answer
function AwsConnections.act(request)
  local act = ACTS[request.method]
  return act and act(request.id, request)
    or AwsError.new("method", "expected POST, GET or DELETE", { ["Allow"] = "DELETE, GET, POST" })
end

local KINDS = { [401] = "unauthorized", [403] = "forbidden", [503] = "unreachable" }

--- Gives an answer the form that SDKs read.
---@param answer table of this module, or a problem of the control API
---@return { status: integer, body: string, type: string?, headers: table }
function AwsConnections.shape(answer)
  if answer.type == Problem.TYPE then
    answer = AwsError.new(KINDS[answer.status], cjson.decode(answer.body).detail, answer.headers)
  end
  answer.headers = answer.headers or {}
  answer.headers["x-amzn-RequestId"] = Random.name(22)
  return answer
end

return AwsConnections
