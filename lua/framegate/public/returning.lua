-- A client that comes back: finds its session, and with `ws-session: 120;check` asks the handler whether it may have it.
-- If not, the client is answered here.

local Client = require "framegate.runtime.client"
local HandOver = require "framegate.socket.hand_over"
local Rejection = require "framegate.public.rejection"
local ResumeEvent = require "framegate.socket.resume_event"
local Resumption = require "framegate.socket.resumption"
local TakeOver = require "framegate.socket.take_over"

local Returning = {}

---@class Returned a client that gets its session
---@field connection Connection
---@field client Return
---@field answer Answer with headers for the 101

local members, carriers

--- Gives this module the instances of its worker.
---@param worker Worker
function Returning.wire(worker)
  members, carriers = worker.members, worker.carriers
end

local UNASKED = { headers = {} } -- in place of an answer

local function refuse(status, message, seconds)
  return Rejection.refuse(
    "unavailable",
    { status = status, message = message, headers = { ["Retry-After"] = seconds } }
  )
end

-- Answers a client that does not get its session. The session goes on, unless the handler has refused.
local function answer_client(connection, client, answer)
  if answer.failure then
    return refuse(answer.status, answer.error.message, 5)
  elseif answer.status >= 400 then
    return Rejection.pass_on(answer)
  end
  return Rejection.close(connection, client)
end

-- Asks the handler, if it wants to be asked. Returns its answer, or nil and whether the session has ended meanwhile.
local function ask(connection, client)
  if connection.session.mode ~= "check" then
    return UNASKED
  end
  local answer, is_busy = ResumeEvent.ask(connection, client)
  if is_busy then
    return refuse(503, "another client with this token waits for the handler", 1)
  elseif not answer and Client.has_left() then
    return Rejection.leave(connection)
  elseif not answer then
    return nil, true
  elseif answer.failure or answer.status >= 400 or connection.phase ~= "open" then
    return answer_client(connection, client, answer)
  end
  return answer
end

local function client_of(handshake)
  local wanted = handshake.wanted
  return {
    is_stream = handshake.is_stream,
    key = wanted.key,
    is_new = wanted.is_new,
    received = wanted.received,
    path = handshake.path,
    lines = handshake.lines,
    offered = handshake.offered,
    compression = handshake.compression,
    extensions = handshake.extensions,
  }
end

--- Finds the session of a client that asks for one. Yields.
---@param handshake Arrival
---@return Returned? returned nil when the client does not get it
---@return boolean? is_new whether it gets a new socket; if not, it was answered
function Returning.find(handshake)
  local client = client_of(handshake)
  local connection, busy = Resumption.find(client, {
    carriers = carriers,
    fetch = TakeOver.fetch,
    recall = HandOver.recall,
  })
  if busy then
    return refuse(503, "this session moves from one worker of the gateway to another", 1)
  elseif Client.has_left() then
    return Rejection.leave(connection)
  elseif not connection and members:has_left() then
    return refuse(503, "this worker of the gateway is going away, another is there", 0)
  elseif not connection then
    return nil, true
  end
  local answer, has_ended = ask(connection, client)
  return answer and { connection = connection, client = client, answer = answer }, has_ended
end

return Returning
