-- Reads the answers of a batch as lengths and bytes: nothing is quoted, and most header lines are known already.
-- docs/protocol.md defines the format.

local ffi = require "ffi"
local Answer = require "framegate.dispatch.answer"
local Config = require "framegate.config"
local HttpHead = require "framegate.dispatch.http_head"
local PlainHeaders = require "framegate.dispatch.plain_headers"

local cast, string_of, concat, sub = ffi.cast, ffi.string, table.concat, string.sub
local const_bytes = ffi.typeof "const uint8_t *"

---@class BatchAnswers
---@field open table<integer, Event> those without an answer yet, by their place in the batch
---@field private lane Lane
---@field private pieces string[] of an answer that is not complete
---@field private bytes integer of them
---@field private needed integer bytes of them without which it is not complete
---@field private skipped integer bytes that are still to come of an answer that is too large
local BatchAnswers = {}
BatchAnswers.__index = BatchAnswers

local FIXED = 16 -- bytes in front of each answer: its place from 0, status, bytes of header lines, bytes of its body
local LONGEST_HEAD = 65536
local NO_HEAD = 0x1000000 -- so many bytes of header lines are no answer
local ALONE = 0 -- in place of a status
local MAX_KNOWN = 100

local known, known_count = {}, 0 -- plain headers by their lines

-- An unsigned number of four bytes, in network byte order.
local function number_at(bytes, at)
  return bytes[at] * 0x1000000 + bytes[at + 1] * 0x10000 + bytes[at + 2] * 0x100 + bytes[at + 3]
end

---@param lane Lane that carries the batch
---@param events Event[]
---@return BatchAnswers
function BatchAnswers.new(lane, events)
  local open = {}
  for place, event in ipairs(events) do
    open[place] = event
  end
  return setmetatable({ lane = lane, open = open, pieces = {}, bytes = 0, needed = FIXED, skipped = 0 }, BatchAnswers)
end

-- Takes the event out of those without an answer.
local function close(self, bytes)
  local place = number_at(bytes, 0) + 1
  local event = self.open[place]
  self.open[place] = nil
  return event
end

-- Headers that hold nothing but a content type are read once: nobody changes them.
local function headers_of(lines)
  local headers = known[lines]
  if headers then
    return headers
  end
  headers = HttpHead.headers("\n" .. lines)
  if PlainHeaders.kind(headers) then
    if known_count >= MAX_KNOWN then
      known, known_count = {}, 0
    end
    known[lines], known_count = headers, known_count + 1
  end
  return headers
end

-- Reads one answer. `bytes` begin with its numbers.
local function read_answer(self, bytes, head_bytes, body_bytes)
  local status = number_at(bytes, 4)
  local event = close(self, bytes)
  if event and status == ALONE then
    self.lane.options.on_alone(event)
  elseif event then
    local headers = headers_of(string_of(bytes + FIXED, head_bytes))
    local body = string_of(bytes + FIXED + head_bytes, body_bytes)
    return event, Answer.read { status = status, headers = headers, body = body }
  end
end

-- Reads what is complete. Returns how many bytes that was, and how many more are needed for the next one.
local function read_complete(self, text, found)
  local bytes, size, at = cast(const_bytes, text), #text, 0
  while size - at >= FIXED do
    local head_bytes, body_bytes = number_at(bytes, at + 8), number_at(bytes, at + 12)
    local whole = FIXED + head_bytes + body_bytes
    local event, answer
    if head_bytes >= NO_HEAD then
      return nil, "what came is no answer"
    elseif head_bytes > LONGEST_HEAD then
      event, answer = close(self, bytes + at), Answer.failed("malformed", "its headers are larger than 64 KB")
    elseif body_bytes > Config.MAX_ANSWER_BYTES then
      event, answer = close(self, bytes + at), Answer.too_large()
    elseif size - at < whole then
      return at, whole
    else
      event, answer = read_answer(self, bytes + at, head_bytes, body_bytes)
    end
    if event then
      found:add(event, answer)
    end
    at = at + whole
  end
  return at, FIXED
end

--- Takes the next bytes of the body.
---@param piece string
---@param found Found gets the answers that are complete
---@return boolean ok false when the bytes are no answers
---@return string? err
function BatchAnswers:take(piece, found)
  local skipped = math.min(self.skipped, #piece)
  self.skipped = self.skipped - skipped
  local rest = skipped > 0 and sub(piece, skipped + 1) or piece
  local pieces = self.pieces
  pieces[#pieces + 1], self.bytes = rest, self.bytes + #rest
  if self.bytes < self.needed then
    return true
  end
  local text = pieces[2] and concat(pieces) or rest
  local taken, needed = read_complete(self, text, found)
  if not taken then
    return false, needed
  end
  self.skipped = math.max(taken - #text, 0)
  rest = sub(text, taken + 1)
  self.pieces, self.bytes, self.needed = { rest ~= "" and rest or nil }, #rest, needed
  return true
end

--- Ends the body.
function BatchAnswers.finish() end

return BatchAnswers
