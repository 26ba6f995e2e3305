-- The control API: one function for each resource and method (openapi.json describes them).
-- A request is {method, segments, query, payload, content_type}; an answer is {status, body, type, headers}.

local cjson = require "cjson.safe"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local Listing = require "framegate.control.listing"
local MediaType = require "framegate.protocol.media_type"
local Messages = require "framegate.control.messages"
local Metrics = require "framegate.control.metrics"
local NodeList = require "framegate.control.node_list"
local Problem = require "framegate.control.problem"
local Publish = require "framegate.control.publish"
local Status = require "framegate.control.status"
local Subscriptions = require "framegate.control.subscriptions"
local TopicName = require "framegate.protocol.topic_name"
local Utf8 = require "framegate.protocol.utf8"

local Api = {}

local push

--- Gives the control API the instances of its worker.
---@param worker Worker
function Api.wire(worker)
  push = worker.push
  Listing.wire(worker)
  Messages.wire(worker)
  Metrics.wire(worker)
  NodeList.wire(worker)
  Publish.wire(worker)
  Status.wire(worker)
  Subscriptions.wire(worker)
end

local function json(value) return { status = 200, body = cjson.encode(value), type = "application/json" } end

local NO_CONTENT = { status = 204, body = "" }

-- Text is the default, also for the content type of curl -d. Images, archives and octet-stream are binary.
local function is_text(content_type)
  content_type = content_type or "text/plain"
  return MediaType.kind(content_type) ~= "binary"
    or content_type:lower():find("^application/x%-www%-form%-urlencoded") ~= nil
end

local function frame_of(request)
  local text = is_text(request.content_type)
  if #request.payload > Config.MAX_MESSAGE_BYTES then
    return nil,
      Problem.new(413, ("a frame may have %d bytes at most (MAX_MESSAGE_BYTES)"):format(Config.MAX_MESSAGE_BYTES))
  end
  if text and not Utf8.is_valid(request.payload) then
    return nil, Problem.new(400, "a text frame is UTF-8: send content-type: application/octet-stream for binary")
  end
  return request.payload, text
end

local function to_many(op, request, args)
  local payload, text = frame_of(request)
  if not payload then
    return text
  end
  args.except = request.query.except
  local counts, err =
    push:to_many(op, args, { payload = payload, is_text = text, key = request.key, traceparent = request.traceparent })
  if err == "unreachable" then
    return Problem.unreachable(
      "not every node of the cluster could be reached; a repeat with the same idempotency-key reaches only those that were not",
      counts
    )
  elseif err then
    return Problem.new(504, "a worker did not answer: what became of the frame there is not known", nil, counts)
  end
  return json(counts)
end

local function send(request)
  local payload, text = frame_of(request)
  if not payload then
    return text
  end
  local result, err = push:send(
    request.segments[2],
    { payload = payload, is_text = text, key = request.key, traceparent = request.traceparent }
  )
  if not result then
    return Problem.gone(err)
  end
  if result.delivered == 0 then
    return Problem.new(
      429,
      "the connection does not read as fast as it is sent to: its outbox is full",
      { ["Retry-After"] = "1" }
    )
  end
  return json(result)
end

local function describe(request)
  local has_query, problem = Listing.shows_query(request)
  if problem then
    return problem
  end
  local result, err =
    push:ask(request.segments[2], { op = "describe", args = { has_query = has_query }, payload = "", is_read = true })
  return result and Listing.answer(Listing.facts(result.connection)) or Problem.gone(err)
end

local function close(request)
  local code, reason = request.query.code or "1000", request.query.reason or ""
  code = code:find("^%d+$") and tonumber(code)
  if not code or not CloseCode.is_sendable(code) then
    return Problem.new(400, "code is " .. CloseCode.SENDABLE)
  end
  if #reason > CloseCode.MAX_REASON_BYTES or not Utf8.is_valid(reason) then
    return Problem.new(400, ("reason is at most %d bytes of UTF-8"):format(CloseCode.MAX_REASON_BYTES))
  end
  local result, err = push:ask(
    request.segments[2],
    { op = "close", args = { code = code, reason = reason }, payload = "", key = request.key }
  )
  return result and NO_CONTENT or Problem.gone(err)
end

local function publish(request)
  local topic, problem = Listing.topic_of(request)
  if not topic then
    return problem
  end
  local replace = request.query.replace
  if replace and not TopicName.is_valid(replace) then
    return Problem.new(400, "replace is " .. TopicName.RULE)
  end
  return to_many("publish", request, { topic = topic, replace = replace })
end

local function to_user(request) return to_many("send_to_user", request, { user = request.segments[2] }) end

local function broadcast(request) return to_many("broadcast", request, {}) end

local function health() return json { status = "ok" } end

local function list_nodes() return Listing.answer(NodeList.read()) end

local function status() return Listing.answer(Status.read()) end

local function metrics()
  return { status = 200, body = Metrics.read(), type = "text/plain; version=0.0.4; charset=utf-8" }
end

-- A segment in braces matches any text.
local RESOURCES = {
  { { "connections" }, GET = Listing.list },
  { { "connections", "{id}" }, GET = describe, POST = send, DELETE = close },
  { { "closes" }, GET = Listing.list_closes },
  { { "topics" }, GET = Listing.list_topics },
  { { "topics", "{topic}" }, GET = Listing.describe_topic, POST = publish },
  { { "topics", "{topic}", "messages" }, GET = Messages.list },
  { { "topics", "{topic}", "connections", "{id}" }, PUT = Subscriptions.add, DELETE = Subscriptions.remove },
  { { "users", "{user}" }, POST = to_user },
  { { "broadcast" }, POST = broadcast },
  { { "publish" }, POST = Publish.run },
  { { "nodes" }, GET = list_nodes },
  { { "healthz" }, GET = health },
  { { "status" }, GET = status },
  { { "metrics" }, GET = metrics },
}
Api.resources = RESOURCES

local function fits(pattern, segments)
  if #pattern ~= #segments then
    return false
  end
  for i, part in ipairs(pattern) do
    if part ~= segments[i] and part:sub(1, 1) ~= "{" then
      return false
    end
  end
  return true
end

--- Makes the answer to a method that a resource does not allow. Allowing GET also allows HEAD.
---@param methods string[] the allowed ones
---@return table problem
function Api.not_allowed(methods)
  for _, method in ipairs(methods) do
    if method == "GET" then
      methods[#methods + 1] = "HEAD"
      break
    end
  end
  table.sort(methods)
  local list = table.concat(methods, ", ")
  return Problem.new(405, "this resource takes " .. list, { ["Allow"] = list })
end

local function resource_of(segments)
  for _, resource in ipairs(RESOURCES) do
    if fits(resource[1], segments) then
      return resource
    end
  end
end

--- Whether a path names a resource.
---@param segments string[]
---@return boolean
function Api.has(segments) return resource_of(segments) ~= nil end

--- Handles one request.
---@param request { method: string, segments: string[], query: table, payload: string, content_type: string? }
---@return { status: integer, body: string, type: string?, headers: table? }
function Api.handle(request)
  local resource = resource_of(request.segments)
  if not resource then
    return Problem.new(404, "no such resource: see /openapi.json")
  end
  local act = resource[request.method]
  if act then
    return act(request)
  end
  local methods = {}
  for method in pairs(resource) do
    methods[#methods + 1] = type(method) == "string" and method or nil
  end
  return Api.not_allowed(methods)
end

return Api
