-- The outcome of an event: the handler's answer, or the reason why there is none. A failure is one of
--   "unavailable"  no connection to a handler was made: it cannot have seen the event
--   "closing"      a handler answered 503 with retry-after: it has not processed the event
--   "refused"      a handler answered 431: the event's headers are too large, and it has not processed the event
--   "lost"         the connection broke before an answer: it may have processed the event
--   "timeout"      no whole answer came within HANDLER_TIMEOUT: it may have processed the event
--   "malformed"    an answer came, but it cannot be understood or is too large
--   "crowded"      an answer began to stream, and STREAM_CONCURRENCY others do so: the handler has begun with the event
-- Open, message and timer events are retried only after the first two.

local Border = require "framegate.dispatch.border"
local Config = require "framegate.config"
local PlainHeaders = require "framegate.dispatch.plain_headers"
local Utf8 = require "framegate.protocol.utf8"

---@class Answer
---@field status integer
---@field headers table<string, string|string[]>
---@field body string
---@field frame "text"|"binary"|nil the kind of frame that the body is, if it is known that the answer asks for nothing else
---@field failure string? why there is no answer from the handler
---@field error { status: integer, message: string }? for the client, when there is a failure
---@field retry_after number? seconds; only with "closing"
---@field effects table[]? what it asks for, where a dialect has read that already
---@field is_refusal boolean? whether it refuses a handshake, whatever its status
---@field is_owed boolean? of a refusal: whether the handler has accepted the handshake, so a close event is owed
local Answer = {}

local MAY_BE_ACCEPTED = { lost = true, timeout = true, malformed = true }

local FAILURES = {
  unavailable = { 503, "no handler could be reached" },
  closing = { 503, "the handler is restarting" },
  lost = { 502, "the connection to the handler broke before it answered: the event may have been processed" },
  timeout = { 504, "the handler did not answer in time: the event may have been processed" },
  refused = { 502, "the event could not be sent to the handler: its headers are too large" },
  malformed = { 502, "the handler's answer could not be understood" },
  crowded = { 503, "too many answers stream now (STREAM_CONCURRENCY)" },
}

--- Makes the answer that stands for a failure.
---@param failure string one of the list above
---@param detail string? what is wrong with a malformed answer
---@return Answer
function Answer.failed(failure, detail)
  local status, message = unpack(FAILURES[failure])
  return {
    status = status,
    headers = {},
    body = "",
    failure = failure,
    error = { status = status, message = detail and message .. ": " .. detail or message },
  }
end

--- Makes the answer that stands for a stream that ended too early. Its event is never sent again.
---@param failure "lost"|"timeout"
---@param message string for the client
---@return Answer
function Answer.of_stream(failure, message)
  local answer = Answer.failed(failure)
  answer.error.message = message
  return answer
end

--- Whether an event is over: the handler answered, or it answers nothing that can be used, and would not the next time.
---@param answer Answer
---@return boolean
function Answer.is_final(answer)
  return not answer.failure or answer.failure == "refused" or answer.failure == "malformed"
end

--- The answer to an event that its handler does not get, because its dialect has no word for it.
Answer.NOTHING = { status = 204, headers = {}, body = "", effects = {} }

--- The failure of an answer whose body has more than MAX_ANSWER_BYTES.
---@return Answer
function Answer.too_large()
  return Answer.failed("malformed", ("it is larger than %d bytes (MAX_ANSWER_BYTES)"):format(Config.MAX_ANSWER_BYTES))
end

--- Whether the handler accepts what was asked.
---@param answer Answer
---@return boolean
function Answer.is_success(answer)
  return not answer.failure and not answer.is_refusal and answer.status >= 200 and answer.status < 300
end

--- Whether the handler may have accepted a socket although its answer to open was lost, or cannot be used. If so, a close event
--- is owed.
---@param answer Answer
---@return boolean
function Answer.may_be_accepted(answer) return MAY_BE_ACCEPTED[answer.failure] ~= nil or answer.is_owed == true end

-- Seconds, or a point in time (RFC 9110 section 10.2.3).
local function seconds_of(retry_after)
  local value = type(retry_after) == "table" and (retry_after[1] or "") or retry_after
  if value:find("^%d+$") then
    return tonumber(value)
  end
  local time = ngx.parse_http_time(value)
  return time and math.max(0, time - ngx.time())
end

local function frame_of(answer)
  local kind = answer.body ~= "" and PlainHeaders.kind(answer.headers)
  return kind and (kind == "binary" or Utf8.is_valid(answer.body)) and kind or nil
end

--- Checks what a handler answered, in a response or in a line of a batch.
--- Gives the answer, or the failure that it amounts to.
---@param answer { status: any, headers: any, body: any }
---@return Answer
function Answer.read(answer)
  local defect = Border.defect_of(answer)
  if defect then
    return Answer.failed("malformed", defect)
  end
  if answer.status == 503 and answer.headers["retry-after"] then
    local failure = Answer.failed("closing")
    failure.retry_after = seconds_of(answer.headers["retry-after"])
    return failure
  end
  if answer.status == 431 then
    return Answer.failed("refused")
  end
  if #answer.body > Config.MAX_ANSWER_BYTES then
    return Answer.too_large()
  end
  answer.frame = frame_of(answer)
  return answer
end

return Answer
