-- Whether a client that comes back may have its session: with `ws-session: 120;check` its handler decides.
-- If not, the client is answered here.

local Client = require "framegate.runtime.client"
local Rejection = require "framegate.public.rejection"
local ResumeEvent = require "framegate.socket.resume_event"

local Permission = {}

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

--- Asks the handler, if it wants to be asked. Yields.
---@param connection Connection
---@param client Return
---@return Answer? answer with headers for the 101; nil when the client does not get its session
---@return boolean? has_ended whether the session ended meanwhile, and the client was not answered
function Permission.ask(connection, client)
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

return Permission
