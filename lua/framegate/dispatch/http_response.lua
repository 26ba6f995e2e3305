-- Reads one HTTP/1.1 response (RFC 9112) from a cosocket. Bodies come in pieces, as they arrive.

local find, sub, lower, gmatch = string.find, string.sub, string.lower, string.gmatch

---@class HttpResponse
---@field status integer
---@field headers table<string, string|string[]> names in lower case
local HttpResponse = {}
HttpResponse.__index = HttpResponse

local CHUNK = 65536

local function fill(self)
  local chunk, err = self.socket:receiveany(CHUNK)
  if not chunk then
    return nil, err
  end
  self.buffer = self.buffer == "" and chunk or self.buffer .. chunk
  return true
end

local function parse_headers(text)
  local headers = {}
  for name, value in gmatch(text, "\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    name = lower(name)
    local before = headers[name]
    if before == nil then
      headers[name] = value
    elseif type(before) == "table" then
      before[#before + 1] = value
    else
      headers[name] = { before, value }
    end
  end
  return headers
end

--- Reads status line and headers.
---@param socket table a connected cosocket
---@return HttpResponse?
---@return string? err of the socket
---@return boolean? is_untouched whether not a byte of an answer had come
function HttpResponse.read(socket)
  local self = setmetatable({ socket = socket, buffer = "" }, HttpResponse)
  local last
  repeat
    local ok, err = fill(self)
    if not ok then
      return nil, err, self.buffer == ""
    end
    last = find(self.buffer, "\r\n\r\n", 1, true)
  until last
  local head = sub(self.buffer, 1, last - 1)
  self.buffer = sub(self.buffer, last + 4)
  self.status = tonumber(head:match("^HTTP/1%.%d (%d%d%d)"))
  if not self.status then
    return nil, "not an HTTP response", false
  end
  self.headers = parse_headers(head)
  if self.headers["transfer-encoding"] == "chunked" then
    self.is_chunked = true
  elseif self.headers["content-length"] then
    local length = self.headers["content-length"]
    self.remaining = type(length) == "string" and length:match("^%d+$") and tonumber(length)
    if not self.remaining then
      return nil, "the content length is not a number", false
    end
  elseif self.status == 204 or self.status == 304 then
    self.remaining = 0
  else
    self.is_until_close = true
  end
  return self
end

local function take(self, most)
  if self.buffer == "" then
    local ok, err = fill(self)
    if not ok then
      return nil, err
    end
  end
  local piece = self.buffer
  if #piece > most then
    self.buffer = sub(piece, most + 1)
    return sub(piece, 1, most)
  end
  self.buffer = ""
  return piece
end

local function next_line(self)
  while true do
    local last = find(self.buffer, "\r\n", 1, true)
    if last then
      local line = sub(self.buffer, 1, last - 1)
      self.buffer = sub(self.buffer, last + 2)
      return line
    end
    local ok, err = fill(self)
    if not ok then
      return nil, err
    end
  end
end

local function begin_chunk(self)
  local line, err = next_line(self)
  if not line then
    return nil, err
  end
  local digits = line:match("^%x+")
  if not digits then
    return nil, "a chunk's size is missing"
  end
  local size = tonumber(digits, 16)
  self.remaining = size
  if size == 0 then
    repeat
      line, err = next_line(self)
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
    line, err = next_line(self)
    if not line then
      return nil, err
    end
  end
  return piece
end

--- The next piece of the body.
---@return string? piece nil at the end, and when reading failed
---@return string? err of the socket; nil at the end
function HttpResponse:next_piece()
  if self.is_complete then
    return nil
  end
  if self.is_chunked then
    return next_of_chunks(self)
  end
  if self.is_until_close then
    local piece, err = take(self, CHUNK)
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

--- The whole body.
---@return string? body
---@return string? err
function HttpResponse:read_body()
  local first, err = self:next_piece()
  if not first then
    return not err and "" or nil, err
  end
  local second
  second, err = self:next_piece()
  if not second then
    return not err and first or nil, err
  end
  local pieces = { first, second }
  while true do
    local piece
    piece, err = self:next_piece()
    if err then
      return nil, err
    end
    if not piece then
      return table.concat(pieces)
    end
    pieces[#pieces + 1] = piece
  end
end

--- Whether another request may follow on the connection.
---@return boolean
function HttpResponse:is_reusable()
  return not self.is_until_close
    and self.headers.connection ~= "close"
    and self.buffer == ""
    and (self.is_complete or self.remaining == 0 and not self.is_chunked)
end

return HttpResponse
