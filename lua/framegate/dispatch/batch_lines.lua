-- Reads the answers of a batch as lines of JSON: one for each event, as it finishes. docs/protocol.md defines the format.

local ffi = require "ffi"
local cjson = require "cjson.safe"
local Answer = require "framegate.dispatch.answer"
local Config = require "framegate.config"
local new_table = require "table.new"

ffi.cdef "void *memchr(const void *bytes, int byte, size_t count);"
local C = ffi.C
local byte, find, match, sub = string.byte, string.find, string.match, string.sub
local gmatch, gsub, concat = string.gmatch, string.gsub, table.concat

---@class BatchLines
---@field open table<string, Event> those without an answer yet, by id
---@field private lane Lane
---@field private unfinished table pieces of a line that is not complete
local BatchLines = {}
BatchLines.__index = BatchLines

local MAX_BEGINNING = 4096 -- bytes of a line that is too long
local OPENING, CLOSING, COMMA, NEWLINE = byte("[],\n", 1, 4)

local function body_of(line)
  if line.body_base64 ~= nil then
    return type(line.body_base64) == "string" and ngx.decode_base64(line.body_base64)
  end
  return line.body == nil and "" or line.body
end

-- Reads a line. Returns the event of which it is the answer.
local function read_line(self, line)
  local event = type(line) == "table" and self.open[line.id]
  if not event then
    return
  end
  self.open[line.id] = nil
  if line.alone == true then
    self.lane.options.on_alone(event)
    return nil
  end
  local headers = line.headers == nil and {} or line.headers
  return event, Answer.read { status = line.status, headers = headers, body = body_of(line) }
end

-- Fails the event of a line that is too long. The id is searched only in the beginning of the line.
local function take_too_long(self, beginning, found)
  local open = self.open
  local id = match(beginning, '"id"%s*:%s*"([^"]+)"')
  local event = id and open[gsub(id, "\\/", "/")]
  if event then
    open[event.id] = nil
    found:add(event, Answer.too_large())
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
function BatchLines.decode(lines)
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

local function take_lines(self, text, found)
  local unfinished = self.unfinished
  if unfinished.beginning then
    take_too_long(self, unfinished.beginning, found)
    text = sub(text, (find(text, "\n", 1, true) or #text) + 1)
  elseif unfinished.bytes > 0 then
    text = concat(unfinished) .. text
  end
  for _, line in ipairs(BatchLines.decode(text)) do
    local event, answer = read_line(self, line)
    if answer then
      found:add(event, answer)
    end
  end
end

local function none_unfinished()
  return { bytes = 0, most = 2 * Config.MAX_ANSWER_BYTES + 65536 } -- the body in quotes or base64, and the headers
end

---@param lane Lane that carries the batch
---@param events Event[]
---@return BatchLines
function BatchLines.new(lane, events)
  local open = new_table(0, #events)
  for _, event in ipairs(events) do
    open[event.id] = event
  end
  return setmetatable({ lane = lane, open = open, unfinished = none_unfinished() }, BatchLines)
end

--- Takes the next bytes of the body.
---@param piece string
---@param found Found gets the answers that are complete
---@return boolean ok
function BatchLines:take(piece, found)
  local last = end_of_lines(piece)
  if last == 0 then
    keep(self.unfinished, piece)
    return true
  end
  take_lines(self, sub(piece, 1, last - 1), found)
  self.unfinished = none_unfinished()
  keep(self.unfinished, sub(piece, last + 1))
  return true
end

--- Ends the body. The last line may lack its newline.
---@param found Found gets its answer
function BatchLines:finish(found) take_lines(self, "", found) end

return BatchLines
