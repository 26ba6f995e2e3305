-- Many events in one request: `POST /` with a JSON array, answered with one line of JSON for each as it finishes.
-- docs/protocol.md has the form.

local ffi = require "ffi"
local cjson = require "cjson.safe"
local Answer = require "framegate.dispatch.answer"
local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Event = require "framegate.dispatch.event"
local new_table = require "table.new"

ffi.cdef "void *memchr(const void *bytes, int byte, size_t count);"
local C = ffi.C
local now = Clock.monotonic
local byte, concat, gmatch, sub = string.byte, table.concat, string.gmatch, string.sub

local Batch = {}

local PIECES = 14 -- of an event and the comma behind it
local OPENING, CLOSING, COMMA, NEWLINE = byte("[],\n", 1, 4)

local HEAD =
  "POST / HTTP/1.1\r\nhost: framegate\r\ncontent-type: application/vnd.framegate.batch+json\r\ncontent-length: "

local function fail_all(self, open, failure)
  for _, event in pairs(open) do
    self.options.on_answer(event, Answer.failed(failure))
  end
end

-- Headers are texts or lists, the body is bytes. Returns whether the line could be read so.
local function make_sound(answer)
  answer.headers = answer.headers == nil and {} or answer.headers
  if type(answer.headers) ~= "table" then
    return false
  end
  for name, value in pairs(answer.headers) do
    if type(value) == "number" then
      answer.headers[name] = tostring(value)
    elseif type(value) ~= "string" and type(value) ~= "table" then
      return false
    end
  end
  if answer.body_base64 ~= nil then
    answer.body = type(answer.body_base64) == "string" and ngx.decode_base64(answer.body_base64)
  elseif answer.body == nil then
    answer.body = ""
  end
  return type(answer.body) == "string"
end

local function take_answer(self, open, answer)
  local event = type(answer) == "table" and open[answer.id]
  if not event or type(answer.status) ~= "number" then
    return
  end
  open[answer.id] = nil
  if not make_sound(answer) then
    return self.options.on_answer(event, Answer.failed("malformed"))
  end
  if answer.status == 503 and answer.headers["retry-after"] then
    local retry_after = tonumber(answer.headers["retry-after"])
    answer = Answer.failed("closing")
    answer.retry_after = retry_after
  end
  self.options.on_answer(event, answer)
end

-- Lines of JSON as one array.
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

--- Decodes whole lines, as one JSON array: lines are much alike, and LuaJIT would take long to make a string of each (see
--- event.lua). Only when one of them cannot be read they are decoded one by one.
---@param lines string without the last line's end
---@return any[] answers; false for a line that cannot be read
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

-- Where the last whole line ends.
local function end_of_lines(text)
  local position = #text
  while position > 0 and byte(text, position) ~= NEWLINE do
    position = position - 1
  end
  return position
end

-- The answers of a batch, one line each, as they finish. What has no line when the answer ends was lost.
local function read_lines(self, response, open)
  local deadline = self.started + Config.HANDLER_TIMEOUT
  local parts = {} -- of lines that have begun
  while true do
    self:limit_reading(deadline - now())
    local piece, err = response:next_piece()
    if not piece then
      if err then
        self:disconnect()
      else
        self:finish(response)
      end
      return fail_all(self, open, err == "timeout" and "timeout" or "lost")
    end
    local last = end_of_lines(piece)
    if last == 0 then
      parts[#parts + 1] = piece
    else
      parts[#parts + 1] = sub(piece, 1, last - 1)
      for _, answer in ipairs(Batch.decode(concat(parts))) do
        take_answer(self, open, answer)
      end
      self.has_answered = true
      parts = { sub(piece, last + 1) }
    end
  end
end

--- Sends events in one request and hands on their answers as they come.
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
  local response, failure = self:exchange({ HEAD, #body, "\r\n\r\n", body })
  if not response then
    return fail_all(self, open, failure)
  end
  failure = Answer.failure_of(response, self.is_direct)
  if response.status == 200 and not failure then
    read_lines(self, response, open)
    return self:limit_reading(Config.HANDLER_TIMEOUT)
  end
  response:read_body()
  self:finish(response)
  if not failure and response.status < 500 then
    -- This handler does not take batches (any more): its events go one by one.
    for _, event in pairs(open) do
      self.options.on_unbatch(event)
    end
    return
  end
  fail_all(self, open, failure or "lost")
end

return Batch
