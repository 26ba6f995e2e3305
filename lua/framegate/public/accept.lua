-- The life of one socket: check the handshake, ask the handler, register, upgrade, run.
-- nginx calls `Accept.run` for every request under SOCKET_PATH. The function `run` at the end shows that life on one screen.

local AddressCount = require "framegate.socket.address_count"
local Admission = require "framegate.public.admission"
local Agreement = require "framegate.socket.agreement"
local Answer = require "framegate.dispatch.answer"
local Apply = require "framegate.socket.apply"
local Attachment = require "framegate.socket.attachment"
local Config = require "framegate.config"
local Connection = require "framegate.socket.connection"
local DirectIo = require "framegate.runtime.direct_io"
local Drain = require "framegate.socket.drain"
local EventStream = require "framegate.socket.event_stream"
local Effects = require "framegate.dispatch.effects"
local Fields = require "framegate.protocol.fields"
local Handshake = require "framegate.protocol.handshake"
local HandshakeReader = require "framegate.public.handshake_reader"
local Lifecycle = require "framegate.telemetry.lifecycle"
local Log = require "framegate.runtime.log"
local OpenEvent = require "framegate.socket.open_event"
local Places = require "framegate.session.places"
local Random = require "framegate.runtime.random"
local Refusal = require "framegate.public.refusal"
local Rejection = require "framegate.public.rejection"
local RequestEnd = require "framegate.socket.request_end"
local Returning = require "framegate.public.returning"
local StreamResponse = require "framegate.public.stream_response"
local Transport = require "framegate.socket.transport"
local Upgrade = require "framegate.public.upgrade"
local Writer = require "framegate.socket.writer"
local semaphore = require "ngx.semaphore"

local Accept = {}

local EFFECTS_SECONDS, AGAIN_SECONDS = 10, 0.02 -- effects wait for Redis for less; between two looks at a key

local members, groups

--- Gives this module the instances of its worker.
---@param worker Worker
function Accept.wire(worker)
  members, groups = worker.members, worker.groups
end

local function new_connection(handshake)
  return Connection.new {
    id = members:node() .. members:worker() .. Random.name(22),
    path = handshake.path,
    lines = handshake.lines,
    options = handshake.location.before_open,
  }
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
  if Answer.is_success(answer) or answer.headers["ws-close"] then
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
  return Agreement.defect_of(answer)
end

-- Applies the effects of the answer, and waits for kept frames that come from Redis.
local function apply(connection, event, effects)
  local is_done, done = false, nil
  Apply.effects(connection, event, effects, function()
    is_done = true
    if done then
      done:post()
    end
  end)
  if not is_done then
    done = semaphore.new()
    done:wait(EFFECTS_SECONDS)
  end
end

-- Registers the connection. The answer's frames wait in the outbox until the 101 is sent.
local function register(connection, event, effects)
  RequestEnd.own(connection)
  local handshake = event.waiting.handshake
  if Answer.is_success(event.answer) then
    Agreement.register(connection, event.answer, handshake)
  else
    connection:refuse()
    local status = handshake.is_stream and ngx.HTTP_OK or ngx.HTTP_SWITCHING_PROTOCOLS
    Lifecycle.refused("handler", status, close_among(effects))
  end
  apply(connection, event, effects)
  local reason = not connection.session and Drain.reason_for(connection.id)
  if reason then
    connection:close_after_replies(reason.code, reason.text, reason.cause)
  end
end

-- Answers the handshake, so that what follows is the socket's.
local function respond(handshake, answer)
  return (handshake.is_stream and StreamResponse or Upgrade).perform(answer, handshake.extensions)
end

local function new_transport(connection, socket, handshake)
  local transport = handshake.is_stream and EventStream.new(connection, socket)
    or Transport.new(connection, socket, DirectIo.address()):agree(handshake.compression)
  RequestEnd.own(transport)
  return transport
end

-- The two threads keep running without this one, so the handshake's memory is freed while the socket is open.
local function start(transport) ngx.thread.spawn(Writer.run, transport) end

local function upgrade(connection, answer, handshake)
  groups:await()
  local socket, left = respond(handshake, answer)
  if not socket then
    OpenEvent.release_key(connection, handshake.wanted) -- the thread ends there
    return Rejection.forget(connection, left)
  end
  local transport = new_transport(connection, socket, handshake)
  if Attachment.open(connection, transport, handshake.wanted) then
    local reason = connection.session and Drain.reason_for(connection.id)
    if reason then
      Attachment.send_away(connection, reason.text)
    end
    start(transport)
  end
end

-- Asks the handler, and opens a socket if it accepts.
local function open(connection, handshake, headers)
  local answer, event = OpenEvent.send(connection, handshake)
  if not answer then
    return Rejection.leave(connection)
  elseif answer.failure then
    OpenEvent.release_key(connection, handshake.wanted)
    return Rejection.fail(connection, answer, event)
  end
  local effects, err = Effects.read(answer)
  if not is_for_a_socket(answer, effects) then
    return Rejection.pass_on(answer, connection)
  end
  err = err or defect_of(answer, headers)
  if err then
    OpenEvent.release_key(connection, handshake.wanted)
    return Rejection.reject(connection, err)
  end
  register(connection, event, effects)
  return upgrade(connection, answer, handshake)
end

-- Nobody owns a request that continues a session before its 101: the session is as it was when it ends.
local NOBODY = { request_ended = function() end }

-- Continues the session of a client that has come back.
local function resume(connection, client, answer)
  RequestEnd.own(NOBODY)
  local socket = respond(client, {
    headers = {
      ["sec-websocket-protocol"] = connection.session.protocol,
      ["set-cookie"] = answer.headers["set-cookie"],
    },
  })
  if not socket then
    return ngx.exit(ngx.ERROR)
  end
  local transport = new_transport(connection, socket, client)
  if Attachment.resume(connection, transport, client) then
    start(transport)
  end
end

-- Claims the key of a handshake: until its handler has answered, others with the same key wait. A key that belongs to another
-- session opens that one, and never this one. Returns false when another handshake has the key.
local function claim(connection, wanted)
  local seconds = Config.HANDLER_WAIT + Config.HANDLER_TIMEOUT
  wanted.has_own_key = Places.claim_key(wanted.key, connection.id, seconds)
  local _, is_opening = Places.of_key(wanted.key)
  return wanted.has_own_key or not is_opening
end

-- Returns false, and does nothing, when another handshake opens with the same key.
local function open_new(handshake, headers)
  local connection, wanted = new_connection(handshake), handshake.wanted
  if wanted and not claim(connection, wanted) then
    return false
  elseif not AddressCount.take(connection) then
    OpenEvent.release_key(connection, wanted)
    return Refusal.too_many_sockets()
  end
  open(connection, handshake, headers)
  OpenEvent.release_key(connection, wanted)
  return true
end

-- Gives a client its session back, or opens a new one. Returns false when another handshake with the same key was faster.
local function try_session(handshake, headers)
  local returned, is_new = Returning.find(handshake)
  if is_new then
    return open_new(handshake, headers)
  elseif returned then
    resume(returned.connection, returned.client, returned.answer)
  end
  return true
end

local function run()
  local headers = Fields.trim(ngx.req.get_headers(0))
  local refusal = Admission.check(headers)
  if not refusal or refusal.status == 503 then
    StreamResponse.allow_origin(headers)
  end
  if refusal then
    return Rejection.refuse(refusal.cause, refusal)
  end
  local handshake, fault = HandshakeReader.read(headers)
  if fault then
    return Rejection.refuse(fault.cause, fault)
  elseif HandshakeReader.is_over(headers, handshake) then
    return Rejection.end_stream()
  end
  if not handshake.wanted or handshake.wanted.is_own then
    return open_new(handshake, headers)
  end
  while try_session(handshake, headers) == false do
    ngx.sleep(AGAIN_SECONDS)
  end
end

--- Answers one request under SOCKET_PATH.
Accept.run = Log.guarded("a handshake", run)

return Accept
