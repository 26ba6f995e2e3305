-- A batch: many events in one request, which is `POST /` with a JSON array.
-- The handler answers with one line of JSON for each event, as it finishes. docs/protocol.md defines the format.

local ffi = require "ffi"
local cjson = require "cjson.safe"
local Answer = require "framegate.dispatch.answer"
local Border = require "framegate.dispatch.border"
local Config = require "framegate.config"
local Event = require "framegate.dispatch.event"
local new_table = require "table.new"

ffi.cdef "void *memchr(const void *bytes, int byte, size_t count);"
local C = ffi.C
local byte, find, match, sub = string.byte, string.find, string.match, string.sub
local gmatch, gsub, concat = string.gmatch, string.gsub, table.concat

local Batch = {}

local MAX_BEGINNING = 4096 -- bytes of a line that is too long
local PIECES = 17 -- of an event and the comma after it
local OPENING, CLOSING, COMMA, NEWLINE = byte("[],\n", 1, 4)

local HEAD = "POST / HTTP/1.1\r\nhost: framegate\r\naccept-encoding: identity\r\n"
  .. "content-type: application/vnd.framegate.batch+json\r\ncontent-length: "

local function fail_all(self, open, failure, detail)
  for _, event in pairs(open) do
    self.options.on_answer(event, Answer.failed(failure, detail))
  end
end

-- Fails all events because the body of the response could not be read.
local function break_all(self, open, response, err)
  return fail_all(self, open, self:broken(response, err).failure, response.is_garbled and err or nil)
end

local function body_of(line)
  if line.body_base64 ~= nil then
    return type(line.body_base64) == "string" and ngx.decode_base64(line.body_base64)
  end
  return line.body == nil and "" or line.body
end

local function take_answer(self, open, line)
  local event = type(line) == "table" and open[line.id]
  if not event then
    return
  end
  open[line.id] = nil
  if line.alone == true then
    return self.options.on_alone(event)
  end
  local headers = line.headers == nil and {} or line.headers
  self.options.on_answer(event, Answer.read { status = line.status, headers = headers, body = body_of(line) })
end

-- Fails the event of a line that is too long. The id is searched only in the beginning of the line.
local function take_too_long(self, open, beginning)
  local id = match(beginning, '"id"%s*:%s*"([^"]+)"')
  local event = id and open[gsub(id, "\\/", "/")]
  if event then
    open[event.id] = nil
    self.options.on_answer(event, Answer.too_large())
  end
end

-- Joins lines of JSON into one array.
local function join(lines)
  local count = #lines + 2
  local text = ffi.new("char[?]", count)
  text[0], text[count - 1] = OPENING, CLOSING
  ffi.copy(text + 1, lines, #lines)
  local rest, left = text + 1, #lines
  while true do
    local line_end = ffi.cast("char *", C.memchr(rest, NEWLINE, left))
    if line_end == nil then
      return ffi.string(text, count)
    end
    line_end[0] = COMMA
    left = left - (line_end - rest)
    rest = line_end
  end
end

--- Decodes whole lines, as one JSON array.
--- Lines are so similar that LuaJIT would need long to make a string of each (see Event.to_request).
--- They are decoded one by one only if a line among them cannot be parsed.
---@param lines string without the newline of the last line
---@return any[] answers false in place of a line that cannot be parsed
function Batch.decode(lines)
  local answers = cjson.decode(join(lines))
  if not answers then
    answers = {}
    for line in gmatch(lines, "[^\n]+") do
      answers[#answers + 1] = cjson.decode(line) or false
    end
  end
  return answers
end

-- The position of the last newline, or 0.
local function end_of_lines(text)
  local position = #text
  while position > 0 and byte(text, position) ~= NEWLINE do
    position = position - 1
  end
  return position
end

-- Keeps a piece of a line that is not complete. Only the beginning of a line that is too long is kept.
local function keep(unfinished, piece)
  if unfinished.bytes <= unfinished.most then
    unfinished[#unfinished + 1] = piece
  end
  unfinished.bytes = unfinished.bytes + #piece
  if unfinished.bytes > unfinished.most and not unfinished.beginning then
    unfinished.beginning = sub(concat(unfinished), 1, MAX_BEGINNING)
    for i = #unfinished, 1, -1 do
      unfinished[i] = nil
    end
  end
end

local function take_lines(self, open, unfinished, text)
  if unfinished.beginning then
    take_too_long(self, open, unfinished.beginning)
    text = sub(text, (find(text, "\n", 1, true) or #text) + 1)
  elseif unfinished.bytes > 0 then
    text = concat(unfinished) .. text
  end
  for _, line in ipairs(Batch.decode(text)) do
    take_answer(self, open, line)
  end
end

local function none_unfinished()
  return { bytes = 0, most = 2 * Config.MAX_ANSWER_BYTES + 65536 } -- the body in quotes or base64, and the headers
end

-- Reads the answers of a batch, one line each. The last line may lack its newline.
-- Events without a line at the end of the body are lost.
local function read_lines(self, response, open)
  local unfinished = none_unfinished()
  while true do
    local piece, err = response:next_piece()
    if not piece then
      if err then
        return break_all(self, open, response, err)
      end
      take_lines(self, open, unfinished, "")
      self:finish(response)
      return fail_all(self, open, "lost")
    end
    local last = end_of_lines(piece)
    if last == 0 then
      keep(unfinished, piece)
    else
      take_lines(self, open, unfinished, sub(piece, 1, last - 1))
      self.has_answered = true
      unfinished = none_unfinished()
      keep(unfinished, sub(piece, last + 1))
    end
  end
end

--- Sends events in one request, and passes on their answers as they come.
---@param self Lane
---@param events Event[]
function Batch.carry(self, events)
  local pieces, open, count = new_table(1 + #events * PIECES, 0), new_table(0, #events), 1
  pieces[1] = "["
  for _, event in ipairs(events) do
    count = Event.to_json(event, pieces, count) + 1
    pieces[count], open[event.id] = ",", event
  end
  pieces[count] = "]"
  local body = concat(pieces)
  local signer = self.options.signer
  local signature = signer and signer:batch(body) or ""
  local response, failure, detail = self:exchange { HEAD, #body, "\r\n", signature, "\r\n", body }
  if not response then
    return fail_all(self, open, failure, detail)
  end
  if response.status == 200 then
    local defect = Border.defect_of { status = response.status, headers = response.headers, body = "" }
    if defect then
      self.connection:close()
      return fail_all(self, open, "malformed", defect)
    end
    return read_lines(self, response, open)
  end
  local content, err = response:read_body(Config.MAX_ANSWER_BYTES)
  if not content then
    return break_all(self, open, response, err)
  end
  self:finish(response)
  local answer = Answer.read { status = response.status, headers = response.headers, body = content }
  if not answer.failure and response.status < 500 then
    -- This handler does not accept batches (any more): the events are sent one by one.
    for _, event in pairs(open) do
      self.options.on_unbatch(event)
    end
    return
  end
  for _, event in pairs(open) do
    self.options.on_answer(event, answer.failure and answer or Answer.failed("lost"))
  end
end

return Batch
