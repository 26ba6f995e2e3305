-- What became of an event: the handler's answer, or why there is none. A failure is one of
--   "unavailable"  no connection to a handler was made: it cannot have seen the event
--   "closing"      a handler answered 503 with retry-after: it has not processed the event
--   "lost"         the connection broke before an answer: it may have processed the event
--   "timeout"      no answer within HANDLER_TIMEOUT: the same
--   "refused"      the event could not be sent as a request: its headers are too large
-- Only the first two are ever tried again for open and message.

---@class Answer
---@field status integer
---@field headers table<string, string|string[]>
---@field body string
---@field failure string? why there is no answer of the handler
---@field error { status: integer, message: string }? for the client, when there is a failure
local Answer = {}

local FAILURES = {
  unavailable = { 503, "no handler could be reached" },
  closing = { 503, "the handler is restarting" },
  lost = { 502, "the connection to the handler broke before it answered: the event may have been processed" },
  timeout = { 504, "the handler did not answer in time: the event may have been processed" },
  refused = { 502, "the event could not be sent to the handler: its headers are too large" },
  malformed = { 502, "the handler's answer could not be understood" },
}

--- An answer that says why there is none.
---@param failure string
---@return Answer
function Answer.failed(failure)
  local status, message = unpack(FAILURES[failure])
  return {
    status = status,
    headers = {},
    body = "",
    failure = failure,
    error = { status = status, message = message },
  }
end

local function failure_of_proxy(response)
  local connect_time, header_time =
    response.headers["framegate-connect-time"], response.headers["framegate-header-time"]
  if not connect_time then
    return "refused"
  end
  if not connect_time:find("%d") then
    return "unavailable"
  end
  if not header_time or not header_time:find("%d$") then
    return response.status == 504 and "timeout" or "lost"
  end
end

--- The failure that nginx's internal server reports, if any. It adds both headers to every answer:
--- framegate-connect-time is '-' for a handler that was never connected, framegate-header-time for one that
--- broke off before it answered.
---@param response HttpResponse
---@param is_direct boolean whether the handler itself answered, not the internal server
---@return string? failure
function Answer.failure_of(response, is_direct)
  local failure = not is_direct and failure_of_proxy(response)
  if failure then
    return failure
  end
  if response.status == 503 and response.headers["retry-after"] then
    return "closing"
  end
end

return Answer
