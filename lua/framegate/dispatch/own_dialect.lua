-- framegate's own dialect: the body of a request is the frame, and headers describe the event. docs/protocol.md defines it.

local Answer = require "framegate.dispatch.answer"
local Config = require "framegate.config"
local Event = require "framegate.dispatch.event"
local HttpStatus = require "framegate.protocol.http_status"
local PASSED = require "framegate.protocol.passed_headers"
local StreamParser = require "framegate.dispatch.stream_parser"

local OwnDialect = {}

OwnDialect.HAS_ERROR_FRAMES, OwnDialect.IS_POLLED = true, false

local names -- of headers

--- Names the headers of a handshake that every event carries.
---@return string[] names
function OwnDialect.headers()
  if names then
    return names
  end
  names = {}
  for _, list in ipairs { PASSED, Config.HANDSHAKE_HEADERS } do
    for _, name in ipairs(list) do
      names[#names + 1] = name
    end
  end
  return names
end

--- Whether the handler gets an event: all of them.
function OwnDialect.has_word() return true end

--- Writes an event.
---@param event Event
---@param signer Signer?
---@return string[] pieces of a request
function OwnDialect.request(event, signer) return Event.to_request(event, signer and signer:event(event)) end

--- Makes what reads an answer that streams.
---@param event Event
---@param response HttpResponse
---@return StreamParser? parser nil when it does not stream
function OwnDialect.stream(event, response)
  return event.kind == "message" and StreamParser.of(response, Config.MAX_ANSWER_BYTES) or nil
end

--- Reads an answer.
---@param response { status: any, headers: any, body: any }
---@return Answer
function OwnDialect.answer(_, response) return Answer.read(response) end

--- Writes what a client gets in place of an answer.
---@param event Event
---@param error { status: integer, name: string?, message: string, trace_id: string? } gets its `id`
---@return string text
function OwnDialect.error_frame(event, error)
  error.id = event.id
  return HttpStatus.error_body(error)
end

return OwnDialect
