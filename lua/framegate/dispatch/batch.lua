-- A batch: many events in one request, which is `POST /` with a JSON array. docs/protocol.md defines the format.
-- The handler answers each event as it finishes: in lines of JSON, or in lengths and bytes.

local Answer = require "framegate.dispatch.answer"
local BatchAnswers = require "framegate.dispatch.batch_answers"
local BatchLines = require "framegate.dispatch.batch_lines"
local Border = require "framegate.dispatch.border"
local Config = require "framegate.config"
local Event = require "framegate.dispatch.event"
local Found = require "framegate.dispatch.found"
local new_table = require "table.new"

local concat = table.concat

local Batch = {}

local PIECES = 17 -- of an event and the comma after it

local ANSWERS = "application/vnd.framegate.answers"
local HEAD = "POST / HTTP/1.1\r\nhost: framegate\r\naccept-encoding: identity\r\naccept: "
  .. ANSWERS
  .. ", application/x-ndjson;q=0.5, */*;q=0.1\r\ncontent-type: application/vnd.framegate.batch+json\r\ncontent-length: "

local function fail_all(self, open, failure, detail)
  for _, event in pairs(open) do
    self.options.on_answer(event, Answer.failed(failure, detail))
  end
end

-- Fails all events because the body of the response could not be read.
local function break_all(self, open, response, err)
  return fail_all(self, open, self:broken(response, err).failure, response.is_garbled and err or nil)
end

-- Reads the answers of a batch. Events without one at the end of the body are lost.
local function read_answers(self, response, answers)
  while true do
    local found, ok = Found.new(), true
    local piece, err = response:next_piece()
    if piece then
      ok, err = answers:take(piece, found)
    elseif not err then
      answers:finish(found)
    end
    found:pass_on(self.options.on_answer)
    response.is_garbled = response.is_garbled or not ok
    if err then
      return break_all(self, answers.open, response, err)
    elseif not piece then
      self:finish(response)
      return fail_all(self, answers.open, "lost")
    end
    self.has_answered = self.has_answered or found.count > 0
  end
end

local function encode(events)
  local pieces, count = new_table(1 + #events * PIECES, 0), 1
  pieces[1] = "["
  for _, event in ipairs(events) do
    count = Event.to_json(event, pieces, count) + 1
    pieces[count] = ","
  end
  pieces[count] = "]"
  return concat(pieces)
end

-- Handles a response that brings no answers.
local function take_refusal(self, events, response)
  local content, err = response:read_body(Config.MAX_ANSWER_BYTES)
  if not content then
    return break_all(self, events, response, err)
  end
  self:finish(response)
  local answer = Answer.read { status = response.status, headers = response.headers, body = content }
  if not answer.failure and response.status < 500 then
    -- This handler does not accept batches (any more): the events are sent one by one.
    for _, event in ipairs(events) do
      self.options.on_unbatch(event)
    end
    return
  end
  for _, event in ipairs(events) do
    self.options.on_answer(event, answer.failure and answer or Answer.failed("lost"))
  end
end

-- Media types are the same in capital letters, and may have parameters (RFC 9110, section 8.3.1).
local function is_answers(content_type)
  return content_type == ANSWERS or type(content_type) == "string" and content_type:lower():match "^[^;%s]*" == ANSWERS
end

--- Sends events in one request, and passes on their answers as they come.
---@param self Lane
---@param events Event[]
function Batch.carry(self, events)
  local body, signer = encode(events), self.options.signer
  local signature = signer and signer:batch(body) or ""
  local response, failure, detail = self:exchange { HEAD, #body, "\r\n", signature, "\r\n", body }
  if not response then
    return fail_all(self, events, failure, detail)
  elseif response.status ~= 200 then
    return take_refusal(self, events, response)
  end
  local defect = Border.defect_of { status = response.status, headers = response.headers, body = "" }
  if defect then
    self.connection:close()
    return fail_all(self, events, "malformed", defect)
  end
  local reader = is_answers(response.headers["content-type"]) and BatchAnswers or BatchLines
  return read_answers(self, response, reader.new(self, events))
end

return Batch
