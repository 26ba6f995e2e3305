-- The life of one socket: check the handshake, ask the handler, register, upgrade, run.
-- nginx calls `Accept.run` for every request under SOCKET_PATH. The function `run` at the end shows that life on one screen.

local Admission = require "framegate.public.admission"
local Apply = require "framegate.socket.apply"
local Config = require "framegate.config"
local Connection = require "framegate.socket.connection"
local Drain = require "framegate.socket.drain"
local Effects = require "framegate.dispatch.effects"
local EventMetrics = require "framegate.telemetry.event_metrics"
local Fields = require "framegate.protocol.fields"
local Flusher = require "framegate.push.flusher"
local Handshake = require "framegate.protocol.handshake"
local Headers = require "framegate.public.headers"
local Lifecycle = require "framegate.telemetry.lifecycle"
local Log = require "framegate.runtime.log"
local OpenEvent = require "framegate.socket.open_event"
local Options = require "framegate.socket.options"
local Random = require "framegate.runtime.random"
local Record = require "framegate.socket.record"
local Refusal = require "framegate.public.refusal"
local RequestEnd = require "framegate.socket.request_end"
local Transport = require "framegate.socket.transport"
local Upgrade = require "framegate.public.upgrade"
local Writer = require "framegate.socket.writer"

local Accept = {}

local CLIENT_CLOSED = 499 -- nginx's own code for a client that left: nobody reads the answer

local members, groups

--- Gives this module the instances of its worker.
---@param worker Worker
function Accept.wire(worker)
  members, groups = worker.members, worker.groups
end

local function new_connection(headers)
  return Connection.new {
    id = members:node() .. members:worker() .. Random.name(22),
    path = ngx.var.request_uri,
    lines = Headers.of_handshake(headers),
  }
end

-- A location sets options with `set $ws_overflow close;` and `set $ws_rate 1;`, the handler with its answer to open.
local function options_of(answer)
  local own_rate = ngx.var.ws_rate
  local rate = own_rate == "off" and 0 or tonumber(own_rate) or Config.MESSAGE_RATE
  return Options.of {
    rate = rate > 0 and rate or nil,
    closes_on_overflow = ngx.var.ws_overflow == "close",
    takes_batches = answer.headers["ws-batch"] == "1",
    text_mode = answer.headers["ws-text"],
  }
end

local function refuse(cause, refusal)
  Lifecycle.refused(cause, refusal.status)
  return Refusal.send(refusal)
end

-- Ends an open that the handler may have accepted but that failed. Its close event is owed.
local function abort(connection)
  connection:register()
  connection:finish()
end

local CAUSES = { timeout = "timeout", unavailable = "unavailable", closing = "unavailable" }

-- Refuses the handshake because no handler answered. Without a slot for its event it has no record.
local function fail(connection, answer, event)
  if OpenEvent.may_be_accepted(answer) then
    abort(connection)
  elseif event then
    Record.remove(connection)
  end
  return refuse(
    CAUSES[answer.failure] or "error",
    { status = answer.status, message = answer.error.message, headers = { ["Retry-After"] = 5 } }
  )
end

-- The handler refused: the client gets its answer.
local function pass_on(connection, answer)
  Record.remove(connection)
  Lifecycle.refused("handler", answer.status)
  ngx.status = answer.status
  Headers.pass_on(answer.headers)
  ngx.header["Content-Length"] = #answer.body
  ngx.print(answer.body)
end

local function reject(connection, err)
  EventMetrics.rejected()
  Log.limited(Log.error, "answer", connection.id, "the answer to open cannot be carried out: ", err)
  abort(connection)
  return refuse("error", { status = 500, message = "the handler's answer cannot be carried out" })
end

local function close_among(effects)
  for _, effect in ipairs(effects) do
    if effect.kind == "close" then
      return effect
    end
  end
end

-- Whether to open a socket: for a 2xx, or for a close code, which a browser can read only from an open socket.
local function is_for_a_socket(answer, effects)
  if OpenEvent.is_success(answer) or answer.headers["ws-close"] then
    return true
  end
  local last = effects and effects[#effects]
  return last ~= nil and last.kind == "close"
end

local function defect_of(answer, headers)
  local protocol = answer.headers["sec-websocket-protocol"]
  if
    protocol and not (type(protocol) == "string" and Handshake.is_offered(headers["sec-websocket-protocol"], protocol))
  then
    return "the handler chose a Sec-WebSocket-Protocol that was not offered"
  end
end

-- Registers the connection. The answer's frames wait in the outbox until the 101 is sent.
local function register(connection, event, effects)
  RequestEnd.own(connection)
  if OpenEvent.is_success(event.answer) then
    connection:register(options_of(event.answer))
  else
    connection:refuse()
    Lifecycle.refused("handler", ngx.HTTP_SWITCHING_PROTOCOLS, close_among(effects))
  end
  Apply.effects(connection, event, effects)
  local reason = Drain.reason_for(connection.id)
  if reason then
    connection:close_after_replies(reason.code, reason.text, reason.cause)
  end
end

-- The client left while the handler was asked. A close event that is owed follows the answer to open.
local function leave(connection)
  Log.info(connection.id, "left while the handler was asked")
  Lifecycle.refused "left"
  return ngx.exit(CLIENT_CLOSED)
end

-- The client left before its 101.
local function forget(connection, err)
  Log.info(connection.id, "left before it was accepted: ", err)
  connection:finish()
  if not connection.is_refused then
    Lifecycle.refused("left")
  end
  return ngx.exit(ngx.ERROR) -- part of the 101 may be out, so nothing else may follow on this connection
end

local function run()
  local headers = Fields.trim(ngx.req.get_headers(0))
  local refusal = Admission.check(headers)
  if refusal then
    return refuse(refusal.cause, refusal)
  end
  local connection = new_connection(headers)
  local answer, event = OpenEvent.send(connection)
  if not answer then
    return leave(connection)
  elseif answer.failure then
    return fail(connection, answer, event)
  end
  local effects, err = Effects.read(answer)
  if not is_for_a_socket(answer, effects) then
    return pass_on(connection, answer)
  end
  err = err or defect_of(answer, headers)
  if err then
    return reject(connection, err)
  end
  register(connection, event, effects)
  groups:await()
  local socket, left = Upgrade.perform(answer)
  if not socket then
    return forget(connection, left)
  end
  local transport = Transport.new(connection, socket, Flusher.address())
  RequestEnd.own(transport)
  connection:open(transport)
  -- The two threads keep running without this one, so the handshake's memory is freed while the socket is open.
  ngx.thread.spawn(Writer.run, transport)
end

--- Answers one request under SOCKET_PATH.
Accept.run = Log.guarded("a handshake", run)

return Accept
