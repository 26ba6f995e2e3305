-- The HTTP side of the control API: who may ask, what was asked, and the answer. api.lua carries it out.

local cjson = require "cjson.safe"
local Config = require "framegate.config"
local Api = require "framegate.control.api"
local Access = require "framegate.control.access"
local Idempotency = require "framegate.control.idempotency"
local Problem = require "framegate.control.problem"

local Server = {}

local MAX_BATCH = 1000

local members
local requests = 0 -- that are being carried out

--- Gives this module the instances of its worker.
---@param worker Worker
function Server.wire(worker)
  members = worker.members
  Api.wire(worker)
end

local function read_body()
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  if body then
    return body
  end
  local path = ngx.req.get_body_file()
  if not path then
    return ""
  end
  local file = assert(io.open(path, "rb"))
  body = file:read("*a")
  file:close()
  return body
end

local function segments_of(path)
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
  local query = ngx.decode_args(path:match("%?(.*)$") or "", 100)
  for name, value in pairs(query) do
    if type(value) == "table" then
      return nil, Problem.new(400, "the parameter " .. name .. " may be given once")
    end
    query[name] = value == true and "" or value
  end
  return query
end

local function respond(answer)
  ngx.status = answer.status
  for name, value in pairs(answer.headers or {}) do
    ngx.header[name] = value
  end
  if answer.type then
    ngx.header["Content-Type"] = answer.type
    ngx.header["Content-Length"] = #answer.body + 1
    ngx.print(answer.body, "\n")
  end
end

-- One element of a batch: {"method","path","text" or "base64"}.
local function element(entry)
  if type(entry) ~= "table" or type(entry.path) ~= "string" or entry.path:sub(1, 1) ~= "/" then
    return Problem.new(400, 'an element of a batch is {"method","path","text" or "base64"}')
  end
  local payload = entry.text or ""
  if entry.base64 ~= nil then
    payload = type(entry.base64) == "string" and ngx.decode_base64(entry.base64)
  end
  if type(payload) ~= "string" or type(entry.method or "") ~= "string" then
    return Problem.new(400, "text is a string, base64 a string in base64, method a string")
  end
  local query, problem = query_of(entry.path)
  return problem
    or Api.handle {
      method = entry.method or "POST",
      segments = segments_of(entry.path),
      query = query,
      payload = payload,
      content_type = entry.base64 and "application/octet-stream" or "text/plain",
    }
end

local function batch(body)
  local entries = cjson.decode(body)
  if type(entries) ~= "table" or not body:find("^%s*%[") then
    return Problem.new(400, 'a batch is a JSON array of {"method","path","text" or "base64"}')
  end
  if #entries > MAX_BATCH then
    return Problem.new(413, ("a batch has at most %d elements"):format(MAX_BATCH))
  end
  local answers = {}
  for i, entry in ipairs(entries) do
    local answer = element(entry)
    answers[i] = { status = answer.status, body = answer.body ~= "" and cjson.decode(answer.body) or nil }
  end
  return { status = 200, body = #answers > 0 and cjson.encode(answers) or "[]", type = "application/json" }
end

local function openapi()
  local file = assert(io.open(Config.run .. "/lua/framegate/control/openapi.json"))
  local text = file:read("*a")
  file:close()
  return { status = 200, body = (text:gsub("%s+$", "")), type = "application/json" }
end

-- What Api.handle does not know: a request of requests, and the description of all.
local OWN = { ["/batch"] = { "POST", batch }, ["/openapi.json"] = { "GET", openapi } }

local function act(method, path, headers, body)
  local segments, own = segments_of(path), OWN[path:match("^[^?]*")]
  if own and method ~= own[1] then
    return Problem.new(405, "this resource takes " .. own[1], { ["Allow"] = own[1] })
  end
  if own then
    return own[2](body)
  end
  local query, problem = query_of(path)
  local content_type = headers["content-type"]
  return problem
    or Api.handle {
      method = method,
      segments = segments,
      query = query,
      payload = body,
      content_type = type(content_type) == "table" and content_type[1] or content_type,
    }
end

local function refusal(headers)
  return Access.refusal {
    method = ngx.req.get_method(),
    headers = headers,
    is_local = ngx.var.remote_addr == "unix:",
  }
end

--- Stands before the files of the page.
function Server.guard()
  local refused = refusal(ngx.req.get_headers(0))
  if refused then
    respond(refused)
    return ngx.exit(ngx.HTTP_OK)
  end
end

local function answer_of(method, path, headers, body)
  local key = headers["idempotency-key"]
  if type(key) ~= "string" or key == "" or method == "GET" then
    return act(method, path, headers, body)
  end
  local fingerprint = ngx.md5(table.concat({ method, path, tostring(headers["content-type"]), body }, "\0"))
  return Idempotency.once(key, fingerprint, function() return act(method, path, headers, body) end)
end

--- Whether a request is being carried out: it may need the other workers until its end.
---@return boolean
function Server.is_busy() return requests > 0 end

--- Answers one request of the control API.
function Server.run()
  local headers = ngx.req.get_headers(0)
  local refused = refusal(headers)
  if refused then
    return respond(refused)
  end
  local method, path, body = ngx.req.get_method(), ngx.var.request_uri, read_body()
  if members:has_left() then
    return respond(
      Problem.new(
        503,
        "this worker of the gateway is going away and has done nothing: ask again",
        { ["Retry-After"] = "0" }
      )
    )
  end
  requests = requests + 1
  local ok, answer = xpcall(answer_of, debug.traceback, method, path, headers, body)
  requests = requests - 1
  if not ok then
    error(answer, 0)
  end
  return respond(answer)
end

--- Answers what nginx refused before it got here.
function Server.problem()
  local status = ngx.status
  return respond(Problem.new(status == 494 and 400 or status, "nginx refused the request: " .. status))
end

return Server
