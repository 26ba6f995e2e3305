-- What becomes of a handshake that gets no socket: the client learns why, if it is still there.

local Answer = require "framegate.dispatch.answer"
local Attachment = require "framegate.socket.attachment"
local Encoder = require "framegate.protocol.encoder"
local EventMetrics = require "framegate.telemetry.event_metrics"
local EventStream = require "framegate.protocol.event_stream"
local Headers = require "framegate.public.headers"
local Lifecycle = require "framegate.telemetry.lifecycle"
local Log = require "framegate.runtime.log"
local OpenEvent = require "framegate.socket.open_event"
local Refusal = require "framegate.public.refusal"
local StreamResponse = require "framegate.public.stream_response"
local Texts = require "framegate.session.texts"
local Upgrade = require "framegate.public.upgrade"

local Rejection = {}

local CLIENT_CLOSED = 499 -- nginx's own code for a client that left: nobody reads the answer

--- Refuses the handshake of this request.
---@param cause string of framegate_sockets_refused_total
---@param refusal table as Refusal.send takes it
function Rejection.refuse(cause, refusal)
  Lifecycle.refused(cause, refusal.status)
  return Refusal.send(refusal)
end

--- The refusal of a handshake whose location names no handler that can be used.
---@param expected string of $ws_handler, in words
---@return table refusal with a `cause`
function Rejection.of_location(expected)
  Log.limited(Log.error, "handler", nil, "set $ws_handler ", ngx.var.ws_handler, ": expected ", expected)
  return { cause = "error", status = 500, message = "the location names no handler that can be used" }
end

-- Ends an open that the handler may have accepted but that failed. Its close event is owed.
local function abort(connection)
  connection:register()
  connection:finish()
end

-- Ends an open that gets no socket. One that got no slot for its event has no record, so there is nothing to give up.
local function end_open(connection, answer, was_sent)
  if Answer.may_be_accepted(answer) then
    abort(connection)
  elseif was_sent then
    OpenEvent.forgo(connection)
  end
end

local CAUSES = { timeout = "timeout", unavailable = "unavailable", closing = "unavailable" }

--- Refuses the handshake because no handler answered.
---@param connection Connection
---@param answer Answer
---@param event Event? nil when it was not sent
function Rejection.fail(connection, answer, event)
  end_open(connection, answer, event ~= nil)
  return Rejection.refuse(
    CAUSES[answer.failure] or "error",
    { status = answer.status, message = answer.error.message, headers = { ["Retry-After"] = 5 } }
  )
end

--- The handler refused: the client gets its answer.
---@param answer Answer
---@param connection Connection? whose open event it answers; nil for a client that comes back
function Rejection.pass_on(answer, connection)
  if connection then
    end_open(connection, answer, true)
  end
  Lifecycle.refused("handler", answer.status)
  ngx.status = answer.status
  Headers.pass_on(answer.headers)
  ngx.header["Content-Length"] = #answer.body
  ngx.print(answer.body)
end

--- Refuses the handshake because the handler's answer cannot be applied.
---@param connection Connection
---@param err string
function Rejection.reject(connection, err)
  EventMetrics.rejected()
  Log.limited(Log.error, "answer", connection.id, "the answer to open cannot be applied: ", err)
  abort(connection)
  return Rejection.refuse("error", { status = 500, message = "the handler's answer cannot be applied" })
end

--- Ends an EventSource that comes back although its socket was closed: 204 has no body.
function Rejection.end_stream()
  ngx.status = 204
  Lifecycle.refused("over", ngx.status)
  return ngx.exit(ngx.status)
end

--- The handler has closed a session in the answer to its client's return. The client gets no session, and the close code:
--- a browser can read that only from an open socket.
---@param connection Connection
---@param client Return
function Rejection.close(connection, client)
  local socket = (client.is_stream and StreamResponse or Upgrade).perform { headers = {} }
  local closing = connection.closing
  if socket and client.is_stream then
    socket:send(EventStream.chunk(EventStream.close(closing.code, closing.reason)) .. EventStream.LAST_CHUNK)
  elseif socket then
    socket:send(Encoder.frame(Texts.session { key = client.key }, true) .. Encoder.close(closing.code, closing.reason))
  end
  return ngx.exit(ngx.ERROR)
end

--- The client left while the handler was asked. A close event that is owed follows the answer to open.
---@param connection Connection? nil when the handshake waited for another one with its key
function Rejection.leave(connection)
  Log.info(connection and connection.id, "left while the handler was asked")
  Lifecycle.refused "left"
  return ngx.exit(CLIENT_CLOSED)
end

--- The client left before its 101. A session waits for it.
---@param connection Connection
---@param err string
function Rejection.forget(connection, err)
  Log.info(connection.id, "left before it was accepted: ", err)
  if not connection.is_refused then
    Lifecycle.refused("left")
  end
  Attachment.ended(connection, nil)
  return ngx.exit(ngx.ERROR) -- part of the head may be out, so nothing else may follow on this connection
end

return Rejection
