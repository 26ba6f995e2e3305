-- Cuts a streamed answer into frames, as its bytes come. Bytes in, payloads out.
-- Three kinds: each line of application/x-ndjson; the data of each event of text/event-stream
-- (html.spec.whatwg.org/multipage/server-sent-events.html); with `ws-stream: 1` each piece as the handler flushed it.

local ffi = require "ffi"
local MediaType = require "framegate.protocol.media_type"
local Utf8 = require "framegate.protocol.utf8"

local byte, find, gsub, match, sub = string.byte, string.find, string.gsub, string.match, string.sub
local concat = table.concat

---@class StreamParser
---@field is_text boolean whether the frames are text
---@field private take fun(self: StreamParser, bytes: string, is_whole: boolean): string[], string?
---@field private rest string[] bytes of a line or a piece that is not complete
---@field private rest_bytes integer
---@field private data string[] of an event that is not complete
---@field private data_bytes integer
---@field private most integer bytes of a frame
local StreamParser = {}
StreamParser.__index = StreamParser

StreamParser.TOO_LARGE = "too large"
local NO_UTF8 = "a frame of it is not UTF-8"
local NEWLINE, RETURN = byte("\n\r", 1, 2)
local BOM = "\239\187\191"
local LAST_OF_TEXT = 4 -- bytes of the longest character

local function keep(self, bytes)
  if bytes ~= "" then
    self.rest[#self.rest + 1] = bytes
    self.rest_bytes = self.rest_bytes + #bytes
  end
  return self.rest_bytes + self.data_bytes <= self.most
end

-- Takes what was kept, and these bytes behind it.
local function whole(self, bytes)
  if not self.rest[1] then
    return bytes
  end
  local text = concat(self.rest) .. bytes
  self.rest, self.rest_bytes = {}, 0
  return text
end

-- Calls a function with each complete line. Returns what is wrong, in words.
local function each_line(self, bytes, on_line)
  local first = 1
  while true do
    local last = find(bytes, "\n", first, true)
    if not last then
      return not keep(self, sub(bytes, first)) and StreamParser.TOO_LARGE or nil
    end
    if self.rest_bytes + self.data_bytes + last - first > self.most then
      return StreamParser.TOO_LARGE
    end
    local err = on_line(whole(self, sub(bytes, first, last - 1)))
    if err then
      return err
    end
    first = last + 1
  end
end

local function add_text(frames, text)
  if not Utf8.is_valid(text) then
    return NO_UTF8
  end
  frames[#frames + 1] = text
end

-- Empty lines are no frames (github.com/ndjson/ndjson-spec section 3.2).
local function add_line(frames, line)
  line = match(line, "^(.-)\r?$")
  return line ~= "" and add_text(frames, line) or nil
end

local function take_lines(self, bytes)
  local frames = {}
  local err = each_line(self, bytes, function(line) return add_line(frames, line) end)
  return frames, err
end

-- An empty line ends an event. One without data is no frame.
local function end_event(self, frames)
  local data = self.data
  self.data, self.data_bytes = {}, 0
  local text = concat(data, "\n")
  return text ~= "" and add_text(frames, text) or nil
end

-- A comment has no name. All other fields are for browsers.
local function take_field(self, line)
  local name, value = match(line, "^([^:]*):? ?(.*)$")
  if name == "data" then
    self.data[#self.data + 1] = value
    self.data_bytes = self.data_bytes + #value + 1
  end
end

-- A line ends with CR, LF or both: an LF behind a CR ends none.
local function take_events(self, bytes)
  if self.has_cr and byte(bytes) == NEWLINE then
    bytes = sub(bytes, 2)
  end
  self.has_cr = byte(bytes, -1) == RETURN
  local frames = {}
  local err = each_line(self, (gsub(bytes, "\r\n?", "\n")), function(line)
    if not self.has_begun then
      self.has_begun = true
      line = gsub(line, "^" .. BOM, "")
    end
    if line == "" then
      return end_event(self, frames)
    end
    take_field(self, line)
  end)
  return frames, err
end

-- Where an incomplete character at the end of a text begins.
local function start_of_last(text)
  local position = #text
  while position > #text - LAST_OF_TEXT and byte(text, position) < 0xC0 do
    position = position - 1
  end
  return position
end

local function take_piece(self, bytes, is_whole)
  if not keep(self, bytes) then
    return {}, StreamParser.TOO_LARGE
  elseif not is_whole then
    return {}
  end
  local piece = whole(self, "")
  if self.is_text then
    local state = Utf8.validate(Utf8.COMPLETE, ffi.cast("const uint8_t *", piece), #piece)
    if state == Utf8.INVALID then
      return {}, NO_UTF8
    elseif state ~= Utf8.COMPLETE then
      local last = start_of_last(piece)
      keep(self, sub(piece, last))
      piece = sub(piece, 1, last - 1)
    end
  end
  return piece ~= "" and { piece } or {}
end

local KINDS = { ["application/x-ndjson"] = take_lines, ["text/event-stream"] = take_events }

--- Makes a parser, if an answer is a stream.
---@param answer { status: integer, headers: table<string, string|string[]> } names in lower case
---@param most integer bytes of one frame
---@return StreamParser? parser nil for an answer that is one frame, or a document of effects
function StreamParser.of(answer, most)
  local headers = answer.headers
  local content_type = type(headers["content-type"]) == "string" and headers["content-type"]:lower() or ""
  local take = KINDS[match(content_type, "^%s*([^;%s]*)")]
  local kind = MediaType.kind(content_type)
  if not take and headers["ws-stream"] == "1" and kind ~= "document" then
    take = take_piece
  end
  if not take or answer.status < 200 or answer.status > 299 then
    return nil
  end
  local is_text = take ~= take_piece or kind == "text"
  return setmetatable(
    { take = take, is_text = is_text, most = most, rest = {}, rest_bytes = 0, data = {}, data_bytes = 0 },
    StreamParser
  )
end

--- Takes the next bytes.
---@param bytes string not empty
---@param is_whole boolean whether a piece ends here: the handler flushed it so
---@return string[] payloads of the frames that are complete now, also of those before an error
---@return string? err TOO_LARGE, or what is wrong with the stream, in words
function StreamParser:feed(bytes, is_whole) return self.take(self, bytes, is_whole) end

--- Ends the stream. The last line may lack its newline; an event that is not complete is no frame.
---@return string[] payloads
---@return string? err what is wrong with the stream, in words
function StreamParser:finish()
  local rest = whole(self, "")
  if rest == "" or self.take == take_events then
    return {}
  elseif self.take == take_piece then
    return {}, "it ends inside a character"
  end
  local frames = {}
  local err = add_line(frames, rest)
  return frames, err
end

return StreamParser
