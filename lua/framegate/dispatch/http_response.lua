-- Reads one HTTP/1.1 response (RFC 9112) from a cosocket. One deadline limits the whole response.
-- Bodies come in pieces, as they arrive.

local HttpHead = require "framegate.dispatch.http_head"
local HttpInput = require "framegate.dispatch.http_input"

local find, lower, match = string.find, string.lower, string.match
local take, next_line = HttpInput.take, HttpInput.line

---@class HttpResponse: HttpInput
---@field status integer
---@field minor integer of the version of HTTP
---@field headers table<string, string|string[]> names in lower case
---@field is_chunked boolean? the body ends with its last chunk
---@field is_until_close boolean? the body ends when the connection closes
---@field remaining integer? bytes of the body, or of the chunk, that are still to come
---@field is_ambiguous boolean? where the response ends is not certain, so the connection cannot be reused
---@field is_complete boolean? the body has ended
---@field is_kept boolean? FastCGI: the server keeps the connection
local HttpResponse = {}
HttpResponse.__index = HttpResponse

local PIECE = 65536
local MAX_LINE = 16384 -- bytes of the line in front of a chunk, or of a trailer

HttpResponse.TOO_LARGE = "too large"

--- Reads status line and headers. Skips interim responses.
---@param socket table a connected cosocket; its time-out is the time until the deadline
---@param deadline number for the whole response, in seconds of the monotonic clock
---@return HttpResponse?
---@return string? err as HttpHead.read
---@return boolean? is_garbled whether the bytes are not a response
function HttpResponse.read(socket, deadline)
  local self = setmetatable({ socket = socket, buffer = "", deadline = deadline }, HttpResponse)
  local ok, err, is_garbled = HttpHead.read(self)
  return ok and self, err, is_garbled
end

--- Reads the headers of a response of CGI.
---@param stream FastCgiStream
---@param deadline number for the whole response, in seconds of the monotonic clock
---@return HttpResponse?
---@return string? err as HttpHead.read
---@return boolean? is_garbled whether the bytes are not a response
function HttpResponse.read_cgi(stream, deadline)
  local self = setmetatable({ socket = stream, stream = stream, buffer = "", deadline = deadline }, HttpResponse)
  local ok, err, is_garbled = HttpHead.read_cgi(self)
  return ok and self, err, is_garbled
end

--- Makes a response without a body, after which the connection is closed.
---@param head { status: integer, headers: table<string, string> }
---@return HttpResponse
function HttpResponse.without_body(head)
  return setmetatable(
    { status = head.status, headers = head.headers, buffer = "", is_complete = true, is_ambiguous = true },
    HttpResponse
  )
end

local function begin_chunk(self)
  local line, err = next_line(self, MAX_LINE)
  if not line then
    return nil, err
  end
  local digits = match(line, "^(%x+)[ \t]*$") or match(line, "^(%x+)[ \t]*;")
  if not digits or #digits > 13 then
    self.is_garbled = true
    return nil, "a chunk's size is missing"
  end
  local size = tonumber(digits, 16)
  self.remaining = size
  if size == 0 then
    repeat
      line, err = next_line(self, MAX_LINE)
    until not line or line == ""
    self.is_complete = line ~= nil
    return self.is_complete and "" or nil, err
  end
  return line
end

local function next_of_chunks(self)
  if not self.remaining or self.remaining == 0 then
    local ok, err = begin_chunk(self)
    if not ok or self.is_complete then
      return nil, err
    end
  end
  local piece, err = take(self, self.remaining)
  if not piece then
    return nil, err
  end
  self.remaining = self.remaining - #piece
  if self.remaining == 0 then
    local line
    line, err = next_line(self, MAX_LINE)
    if line ~= "" then
      self.is_garbled = self.is_garbled or line ~= nil
      return nil, err or "a chunk is longer than its size"
    end
  end
  return piece
end

--- Reads the next piece of the body.
---@return string? piece nil at the end, and when reading failed
---@return string? err of the socket, or what is wrong with the body; nil at the end
function HttpResponse:next_piece()
  if self.is_complete then
    return nil
  end
  if self.is_chunked then
    return next_of_chunks(self)
  end
  if self.is_until_close then
    local piece, err = take(self, PIECE)
    self.is_complete = err == "closed"
    return piece, err ~= "closed" and err or nil
  end
  if self.remaining == 0 then
    self.is_complete = true
    return nil
  end
  local piece, err = take(self, self.remaining)
  if piece then
    self.remaining = self.remaining - #piece
  end
  return piece, err
end

--- Sets another deadline.
---@param deadline number in seconds of the monotonic clock
function HttpResponse:extend(deadline)
  self.deadline = deadline
  if self.stream then
    self.stream.deadline = deadline
  end
end

--- Whether the last piece ends where the handler ended one: at the end of a chunk. Without chunks every piece does.
---@return boolean
function HttpResponse:is_at_boundary() return not self.is_chunked or self.remaining == 0 end

--- Reads the whole body.
---@param most integer bytes
---@return string? body
---@return string? err TOO_LARGE, or as next_piece
function HttpResponse:read_body(most)
  if (not self.is_chunked and self.remaining or 0) > most then
    return nil, HttpResponse.TOO_LARGE
  end
  local pieces, count, bytes = nil, 0, 0
  local first
  while true do
    local piece, err = self:next_piece()
    if err then
      return nil, err
    end
    if not piece then
      return pieces and table.concat(pieces) or first or ""
    end
    count, bytes = count + 1, bytes + #piece
    if bytes + (self.is_chunked and self.remaining or 0) > most then
      return nil, HttpResponse.TOO_LARGE
    end
    if count == 1 then
      first = piece
    else
      pieces = pieces or { first }
      pieces[count] = piece
    end
  end
end

-- Whether an HTTP connection persists: by default with HTTP/1.1, on request with HTTP/1.0 (RFC 9112 section 9.3).
local function persists(self)
  local value = self.headers.connection
  if not value then
    return self.minor > 0
  end
  value = lower(type(value) == "table" and table.concat(value, ",") or value)
  if find(value, "close", 1, true) then
    return false
  end
  return self.minor > 0 or find(value, "keep-alive", 1, true) ~= nil
end

--- Whether another request may follow on the connection.
---@return boolean
function HttpResponse:is_reusable()
  if self.stream then
    return self.is_kept and not self.is_ambiguous and self.stream:has_ended()
  end
  return not self.is_until_close
    and not self.is_ambiguous
    and self.buffer == ""
    and (self.is_complete or self.remaining == 0 and not self.is_chunked)
    and persists(self)
end

return HttpResponse
