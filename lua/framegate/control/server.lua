-- The HTTP server of the control API: checks access, reads the request, writes the answer. api.lua executes it.

local Config = require "framegate.config"
local Api = require "framegate.control.api"
local Access = require "framegate.control.access"
local AwsConnections = require "framegate.control.aws_connections"
local Batch = require "framegate.control.batch"
local Idempotency = require "framegate.control.idempotency"
local Log = require "framegate.runtime.log"
local Problem = require "framegate.control.problem"
local Request = require "framegate.control.request"
local Sequencer = require "framegate.control.sequencer"
local Turn = require "framegate.runtime.turn"
local Utf8 = require "framegate.protocol.utf8"

local Server = {}

local members, holders
local requests = 0 -- that are running

--- Gives this module the instances of its worker.
---@param worker Worker
function Server.wire(worker)
  members, holders = worker.members, worker.holders
  Api.wire(worker)
  AwsConnections.wire(worker)
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

local function respond(answer)
  ngx.status = answer.status
  for name, value in pairs(answer.headers or {}) do
    ngx.header[name] = value
  end
  if answer.type then
    local body = Utf8.scrub(answer.body) -- JSON is UTF-8 (RFC 8259 section 8.1), but names from strangers may not be
    ngx.header["Content-Type"] = answer.type
    ngx.header["Content-Length"] = #body + 1
    ngx.print(body, "\n") -- nginx leaves it out for HEAD
  end
end

local function openapi()
  local file = assert(io.open(Config.run .. "/lua/framegate/control/openapi.json"))
  local text = file:read("*a")
  file:close()
  return { status = 200, body = (text:gsub("%s+$", "")), type = "application/json" }
end

-- Resources that Api.handle does not know: batches, and the API's description.
local OWN = { ["/batch"] = { "POST", Batch.run }, ["/openapi.json"] = { "GET", openapi } }

---@param asked { method: string, path: string, payload: string, content_type: string?, accept: string?,
--- key: string?, traceparent: string? }
---@param kept table? answers of a batch that is repeated, by position
local function act(asked, kept)
  local request, problem = Request.read(asked)
  if not request then
    return problem
  end
  local own = OWN[asked.path:match("^[^?]*")]
  if own and request.method ~= own[1] then
    return Api.not_allowed { own[1] }
  end
  return own and own[2](request, kept) or Api.handle(request)
end

local function is_local() return ngx.var.remote_addr == "unix:" end

-- A stranger may send any number of requests together. Each refusal waits for the next turn, so that others are served, too.
local function refusal(headers)
  local refused = Access.refusal {
    method = ngx.req.get_method(),
    headers = headers,
    path = ngx.var.request_uri,
    is_local = is_local(),
  }
  if refused then
    Turn.next()
  end
  return refused
end

--- Protects the files of the dashboard. Runs in the access phase.
function Server.guard()
  local refused = refusal(ngx.req.get_headers(0))
  if refused then
    respond(refused)
    return ngx.exit(ngx.HTTP_OK)
  end
end

local function answer_of(asked, key)
  if key == nil or Request.is_read(asked.method) then
    return act(asked)
  end
  if holders:is_clustered() then
    asked.key = "key/" .. ngx.encode_base64(ngx.sha1_bin(key))
  end
  local is_batch = asked.path:match("^[^?]*") == "/batch"
  return Idempotency.once(key, {
    fingerprint = ngx.md5_bin(
      table.concat({ asked.method, asked.path, asked.content_type or "", asked.payload }, "\0")
    ),
    parts = is_batch and Batch.estimate(asked.payload) or 0,
    act = function(kept) return act(asked, kept) end,
  })
end

--- Whether a request is running: it may need the other workers until its end.
---@return boolean
function Server.is_busy() return requests > 0 or Sequencer.is_busy() end

-- Refuses headers that would otherwise be passed over in silence: without its key, a repeat would deliver twice.
local function defect_of(headers)
  local key, coding = headers["idempotency-key"], headers["content-encoding"]
  if key ~= nil and (type(key) ~= "string" or key == "") then
    return Problem.new(400, "idempotency-key is one text that is not empty")
  end
  if coding ~= nil and coding ~= "" and coding ~= "identity" then
    return Problem.new(415, "a body without content-encoding is expected")
  end
end

-- Does the work of a request, which may need the other workers until its end.
local function work(run_request, ...)
  if members:has_left() then
    return Problem.new(
      503,
      "this worker of the gateway is going away and has done nothing: ask again",
      { ["Retry-After"] = "0" }
    )
  end
  requests = requests + 1
  local ok, answer = xpcall(run_request, debug.traceback, ...)
  requests = requests - 1
  if not ok then
    error(answer, 0)
  end
  return answer
end

local function run()
  local headers = ngx.req.get_headers(0)
  local aws_id = AwsConnections.id_of(ngx.var.request_uri)
  if aws_id then
    local request = {
      id = aws_id,
      method = ngx.req.get_method(),
      path = ngx.var.request_uri,
      headers = headers,
      is_local = is_local(),
      read_body = read_body,
    }
    return respond(AwsConnections.shape(AwsConnections.refusal(request) or work(AwsConnections.act, request)))
  end
  local refused = refusal(headers) or defect_of(headers)
  if refused then
    return respond(refused)
  end
  local content_type, traceparent = headers["content-type"], headers["traceparent"]
  local asked = {
    method = ngx.req.get_method(),
    path = ngx.var.request_uri,
    payload = read_body(),
    content_type = type(content_type) == "table" and content_type[1] or content_type,
    accept = type(headers.accept) == "table" and table.concat(headers.accept, ",") or headers.accept,
    traceparent = type(traceparent) == "string" and traceparent or nil,
  }
  return respond(work(answer_of, asked, headers["idempotency-key"]))
end

--- Answers one request of the control API.
Server.run = Log.guarded("a request of the control API", run)

--- Answers a request that nginx itself refused.
function Server.problem()
  Turn.next()
  local status = ngx.status
  return respond(Problem.new(status == 494 and 400 or status, "nginx refused the request: " .. status))
end

return Server
