-- The dialect of functions that were behind a WebSocket API of AWS API Gateway: an event is an invocation of a function of
-- Lambda, and its answer is what the function returns. docs/from-aws.md lists what is different from AWS.

local cjson = require "cjson.safe"
local Answer = require "framegate.dispatch.answer"
local AwsEvent = require "framegate.dispatch.aws_event"
local AwsRoutes = require "framegate.dispatch.aws_routes"
local Border = require "framegate.dispatch.border"
local Config = require "framegate.config"
local Log = require "framegate.runtime.log"
local Printable = require "framegate.runtime.printable"
local ReservedHeaders = require "framegate.protocol.reserved_headers"
local TraceContext = require "framegate.telemetry.trace_context"
local Utf8 = require "framegate.protocol.utf8"

local Aws = {}

local TYPE, ERROR_BYTES = "application/json", 200
local OK, BAD_GATEWAY, TIMEOUT = 200, 502, 504
local ROUTE = { open = AwsRoutes.CONNECT, close = AwsRoutes.DISCONNECT }

Aws.HAS_ERROR_FRAMES, Aws.IS_POLLED = true, false

local is_removed = ReservedHeaders.with({}, {})

--- Names the headers of a handshake that `$connect` gets: all but those of the connection, and those that the
--- gateway writes.
---@param headers table<string, string|string[]>
---@return string[] names in lower case
function Aws.headers(headers)
  local names = {}
  for name in pairs(headers) do
    names[#names + 1] = not is_removed(name) and name or nil
  end
  table.sort(names)
  return names
end

local routes

--- Whether API Gateway knows an event.
---@param event Event
---@return boolean
function Aws.has_word(event) return ROUTE[event.kind] ~= nil or event.kind == "message" end

--- Writes an event.
---@param event Event that has a word
---@param signer Signer?
---@return string[] pieces of a request
function Aws.request(event, signer)
  routes = routes or AwsRoutes.new(Config)
  local key = ROUTE[event.kind] or routes:of_message(event.body, event.is_text)
  local path, body = routes:path(key), AwsEvent.encode(event, key)
  return {
    "POST ",
    path,
    " HTTP/1.1\r\nhost: framegate\r\naccept-encoding: identity\r\ncontent-type: ",
    TYPE,
    event.traceparent and "\r\ntraceparent: " or "",
    event.traceparent or "",
    "\r\n",
    signer and signer:document(event, { path = path, content_type = TYPE, body = body }) or "",
    "content-length: ",
    #body,
    "\r\n\r\n",
    body,
  }
end

--- Finds no answer that streams: a function returns once.
function Aws.stream() return nil end

-- Why an invocation failed. For what the function has thrown AWS has a header; the emulator of Lambda has only the body.
local function failure_of(response, result)
  if response.status ~= OK then
    return "the invocation was answered with " .. response.status
  elseif not response.headers["x-amz-function-error"] and not (type(result) == "table" and result.errorMessage) then
    return nil
  end
  result = type(result) == "table" and result or {}
  local text = ("%s: %s"):format(tostring(result.errorType), tostring(result.errorMessage))
  return "the function failed: " .. Printable.text(Printable.cut(text, ERROR_BYTES))
end

-- The body that a function returns, and whether it is text.
local function body_of(result)
  local body = result.body
  if body == nil or body == cjson.null then
    return "", true
  elseif type(body) == "string" and result.isBase64Encoded == true then
    return ngx.decode_base64(body), false
  end
  return type(body) == "string" and body or nil, true
end

-- The value of a header, or its values, as text; nil for null.
local function text_of(value)
  if type(value) ~= "table" then
    return value ~= cjson.null and tostring(value) or nil
  end
  local texts = {}
  for _, one in ipairs(value) do
    texts[#texts + 1] = one ~= cjson.null and tostring(one) or nil
  end
  return texts[1] and texts
end

-- Headers under names in lower case. Those that are effects in framegate's own dialect are none here.
local function headers_of(result)
  local headers = {}
  for _, list in ipairs { result.headers or cjson.null, result.multiValueHeaders or cjson.null } do
    for name, value in pairs(type(list) == "table" and list or {}) do
      name = tostring(name):lower()
      headers[name] = not name:find "^ws%-" and text_of(value) or nil
    end
  end
  return headers
end

-- What a function has returned, or why it cannot be used.
local function checked(result)
  if type(result) ~= "table" or not tonumber(result.statusCode) then
    return nil, "the function returned no object with a statusCode"
  end
  local body, is_text = body_of(result)
  if not body then
    return nil, "the body of an answer is a text, or with isBase64Encoded base64"
  end
  return { status = tonumber(result.statusCode), headers = headers_of(result), body = body, is_text = is_text }
end

local function is_success(status) return status >= 200 and status < 300 end

local function first(value) return type(value) == "table" and value[1] or value end

local function open_answer(connection, result)
  if not is_success(result.status) then
    return { status = result.status, headers = result.headers, body = result.body, is_refusal = true, effects = {} }
  end
  connection:set_handshake(AwsEvent.kept(connection.handshake))
  local headers = result.headers
  return {
    status = result.status,
    headers = {
      ["sec-websocket-protocol"] = first(headers["sec-websocket-protocol"]),
      ["set-cookie"] = headers["set-cookie"],
    },
    body = "",
    effects = {},
  }
end

local function error_text(event, message)
  return ('{"message":"%s","connectionId":"%s","requestId":"%s"}'):format(message, event.connection.id, event.id)
end

--- Writes what a client gets in place of an answer.
---@param event Event
---@param error { status: integer }
---@return string text
function Aws.error_frame(event, error)
  return error_text(event, error.status == TIMEOUT and "Endpoint request timed out" or "Internal server error")
end

-- What a message can make a function throw is no failure of the handler: a client could cause any number of them.
local function thrown(event, detail)
  Log.limited(Log.warn, "aws", TraceContext.label(event), detail)
  local text = Aws.error_frame(event, { status = BAD_GATEWAY })
  return { status = OK, headers = {}, body = "", effects = { { kind = "send", payload = text, is_text = true } } }
end

-- Whether a function has accepted its socket, whatever else it returned.
local function has_accepted(document)
  local status = type(document) == "table" and tonumber(document.statusCode) or 0
  return is_success(status)
end

-- A function that fails at `$connect` refuses the handshake. `$disconnect` is owed if the function may have accepted it, in
-- an answer that cannot be used.
local function fail(event, detail, is_owed)
  if event.kind ~= "open" then
    return Answer.failed("malformed", detail)
  end
  Log.limited(Log.warn, "aws", TraceContext.label(event), "the handshake is refused: ", detail)
  return {
    status = BAD_GATEWAY,
    headers = { ["content-type"] = TYPE },
    body = Aws.error_frame(event, { status = BAD_GATEWAY }),
    is_refusal = true,
    is_owed = is_owed,
    effects = {},
  }
end

local NOTHING = { status = OK, headers = {}, body = "", effects = {} }

local function message_answer(result)
  local effects = {}
  if result.body ~= "" and Config.HANDLER_AWS_ROUTE_RESPONSE then
    effects[1] = { kind = "send", payload = result.body, is_text = result.is_text and Utf8.is_valid(result.body) }
  end
  return { status = OK, headers = {}, body = "", effects = effects }
end

--- Reads an answer.
---@param event Event
---@param response { status: any, headers: any, body: any }
---@return Answer
function Aws.answer(event, response)
  local read = Answer.read(response)
  if read.failure == "closing" then
    return read
  end
  local document = cjson.decode(read.body)
  local detail = read.failure and read.error.message or failure_of(read, document)
  if detail and event.kind == "message" and response.status == OK and not read.failure then
    return thrown(event, detail)
  elseif detail then
    return fail(event, detail, read.failure == "malformed")
  elseif event.kind == "close" then
    return NOTHING -- whatever the function returns
  end
  local result, answer
  result, detail = checked(document)
  if result then
    answer = event.kind == "open" and open_answer(event.connection, result) or message_answer(result)
    detail = Border.defect_of(answer)
  end
  return detail and fail(event, detail, has_accepted(document)) or answer
end

return Aws
