-- The life of one socket: check the handshake, ask the handler, upgrade, run, end. nginx calls `Accept.run` for
-- every request under SOCKET_PATH.

local WebSocket = require "resty.websocket.server"
local Admission = require "framegate.public.admission"
local Apply = require "framegate.socket.apply"
local Config = require "framegate.config"
local Connection = require "framegate.socket.connection"
local Drain = require "framegate.socket.drain"
local Effects = require "framegate.dispatch.effects"
local Fields = require "framegate.protocol.fields"
local Handshake = require "framegate.protocol.handshake"
local Lifecycle = require "framegate.telemetry.lifecycle"
local EventMetrics = require "framegate.telemetry.event_metrics"
local Log = require "framegate.runtime.log"
local Random = require "framegate.runtime.random"
local Record = require "framegate.socket.record"
local Refusal = require "framegate.public.refusal"
local Writer = require "framegate.socket.writer"

local Accept = {}

local members

--- Gives this module the instances of its worker.
---@param worker Worker
function Accept.wire(worker) members = worker.members end

-- What the handler learns of the handshake. Nothing else passes, least of all a client's own ce-* or ws-*.
local PASSED =
  { "cookie", "authorization", "origin", "user-agent", "accept-language", "sec-websocket-protocol", "traceparent" }

-- Hop-by-hop headers (RFC 9110 section 7.6.1), those that nginx writes itself, and those that are framegate's.
local KEPT_BACK = {
  ["connection"] = true,
  ["keep-alive"] = true,
  ["transfer-encoding"] = true,
  ["te"] = true,
  ["trailer"] = true,
  ["upgrade"] = true,
  ["proxy-connection"] = true,
  ["content-length"] = true,
  ["date"] = true,
  ["server"] = true,
}

local function add(lines, name, value)
  if value then
    lines[#lines + 1] = name
      .. ": "
      .. (type(value) == "table" and table.concat(value, name == "cookie" and "; " or ", ") or value)
  end
end

local function handshake_lines(headers)
  local var, lines = ngx.var, {}
  add(lines, "host", var.own_host)
  for _, name in ipairs(PASSED) do
    add(lines, name, headers[name])
  end
  add(lines, "x-forwarded-for", var.remote_addr)
  add(lines, "x-forwarded-proto", var.forwarded_proto)
  add(lines, "x-forwarded-host", var.forwarded_host)
  return table.concat(lines, "\r\n") .. "\r\n"
end

-- What a location says of its sockets: `set $ws_overflow close;` and `set $ws_rate 1;`.
local function location_settings(connection)
  local own_rate = ngx.var.ws_rate
  local rate = own_rate == "off" and 0 or tonumber(own_rate) or Config.MESSAGE_RATE
  if rate > 0 then
    connection.rate = rate
  end
  if ngx.var.ws_overflow == "close" then
    connection.closes_on_overflow = true
  end
  return connection
end

local function new_connection(headers)
  local id = members:node() .. members:worker() .. Random.name(22)
  return location_settings(Connection.new {
    id = id,
    path = ngx.var.request_uri,
    handshake = handshake_lines(headers),
  })
end

local function check(headers)
  local refusal = Handshake.check {
    method = ngx.req.get_method(),
    http_version = ngx.req.http_version(),
    headers = headers,
    host = ngx.var.forwarded_host,
    allowed_origins = Config.ALLOWED_ORIGINS,
  }
  if refusal and refusal.origin then
    local advice = refusal.can_be_listed and " (ALLOWED_ORIGINS=" .. refusal.origin .. ")" or ""
    Log.warn(ngx.var.remote_addr, "", refusal.message, advice)
  end
  return refusal
end

-- nginx chose this location by the path it made of the one that was sent; the handler is given the one that was sent. They
-- may differ in slashes that nginx merged after decoding: an encoded slash is data (RFC 3986 section 2.2).
local function check_path()
  local sent = ngx.var.request_uri:match("^[^?]*")
  local decoded = ngx.unescape_uri((sent:gsub("%+", "%%2B"))):gsub("//+", "/")
  if sent:find("//", 1, true) or decoded ~= ngx.var.uri then
    return { status = 400, message = "expected a path without dot segments and doubled slashes" }
  end
end

local CAUSES = { timeout = "timeout", unavailable = "unavailable", closing = "unavailable" }

local function refuse(cause, refusal)
  Lifecycle.refused(cause, refusal.status)
  return Refusal.send(refusal)
end

-- The handler said no: its answer is the client's answer.
local function pass_on(answer)
  Lifecycle.refused("handler", answer.status)
  ngx.status = answer.status
  for name, value in pairs(answer.headers) do
    if not KEPT_BACK[name] and name:sub(1, 3) ~= "ws-" then
      ngx.header[name] = value
    end
  end
  ngx.header["Content-Length"] = #answer.body
  ngx.print(answer.body)
end

local function upgrade(answer)
  local protocol = answer.headers["sec-websocket-protocol"]
  if protocol then
    -- resty.websocket answers with what the request offers.
    ngx.req.set_header("Sec-WebSocket-Protocol", protocol)
  else
    ngx.req.clear_header("Sec-WebSocket-Protocol")
  end
  -- handshake.lua has checked these; resty.websocket reads the first value of each alone, with the tabs around it.
  ngx.req.set_header("Upgrade", "websocket")
  ngx.req.set_header("Connection", "Upgrade")
  ngx.req.set_header("Sec-WebSocket-Version", "13")
  ngx.req.set_header("Sec-WebSocket-Key", ngx.var.http_sec_websocket_key:match("%S+"))
  ngx.header["Set-Cookie"] = answer.headers["set-cookie"]
  local socket, err = WebSocket:new()
  return socket and socket.sock, err
end

local function close_among(effects)
  for _, effect in ipairs(effects) do
    if effect.kind == "close" then
      return effect
    end
  end
end

-- The handler's yes. The answer's frames wait in the outbox behind the 101. The two threads go on without this one:
-- what it needed for the handshake is not kept for as long as the socket is open.
local function live(connection, event, effects)
  local answer = event.answer
  if answer.status < 200 or answer.status >= 300 then
    connection.is_refused = true
    Lifecycle.refused("handler", ngx.HTTP_SWITCHING_PROTOCOLS, close_among(effects))
    Record.remove(connection)
  end
  connection.takes_batches = answer.headers["ws-batch"] == "1"
  connection.text_mode = answer.headers["ws-text"]
  connection:register()
  Apply.effects(connection, event, effects)
  if Drain.reason then
    connection:close_in_turn(Drain.reason.code, Drain.reason.text, Drain.reason.cause)
  end
  local socket, err = upgrade(answer)
  if not socket then
    Log.info(connection.id, "left before it was accepted: ", err)
    connection:finish()
    if not connection.is_refused then
      Lifecycle.refused("left")
    end
    return not ngx.headers_sent and Refusal.send { status = 400, message = "the handshake could not be completed" }
  end
  if not connection.is_refused then
    Lifecycle.opened(connection)
  end
  ngx.thread.spawn(Writer.run, connection, socket)
end

-- An open that the handler may have counted as accepted, and that cannot be: its close event is owed.
local function fail(connection, error)
  connection:register()
  connection:finish()
  return refuse(CAUSES[error.failure] or "error", error)
end

local function defect_of(answer, headers)
  local protocol = answer.headers["sec-websocket-protocol"]
  if
    protocol and not (type(protocol) == "string" and Handshake.is_offered(headers["sec-websocket-protocol"], protocol))
  then
    return "the handler chose a Sec-WebSocket-Protocol that was not offered"
  end
end

-- A 2xx, or a close code that a browser can read once there is a socket to close.
local function is_for_a_socket(answer, effects)
  if answer.status >= 200 and answer.status < 300 or answer.headers["ws-close"] then
    return true
  end
  local last = effects and effects[#effects]
  return last ~= nil and last.kind == "close"
end

local function run()
  local headers = Fields.trim(ngx.req.get_headers(0))
  local refusal = check_path() or check(headers) or Admission.check()
  if refusal then
    return refuse(refusal.cause or "handshake", refusal)
  end
  local connection = new_connection(headers)
  local answer, event = connection:ask_to_open()
  if answer.failure then
    local error = {
      failure = answer.failure,
      status = answer.status,
      message = answer.error.message,
      headers = { ["Retry-After"] = 5 },
    }
    if answer.failure == "lost" or answer.failure == "timeout" or answer.failure == "malformed" then
      return fail(connection, error)
    end
    Record.remove(connection)
    return refuse(CAUSES[error.failure] or "error", error)
  end
  local effects, err = Effects.read(answer)
  if not is_for_a_socket(answer, effects) then
    Record.remove(connection)
    return pass_on(answer)
  end
  err = err or defect_of(answer, headers)
  if err then
    EventMetrics.rejected()
    Log.error(connection.id, "the answer to open cannot be carried out: ", err)
    return fail(connection, { status = 500, message = "the handler's answer cannot be carried out" })
  end
  return live(connection, event, effects)
end

--- Answers one request under SOCKET_PATH.
Accept.run = Log.guarded("a handshake", run)

return Accept
