-- Reads the head of an HTTP/1.1 response (RFC 9112): status, headers, and where its body ends. And that of a response of
-- CGI (RFC 3875 section 6), which has no status line.

local Fields = require "framegate.protocol.fields"
local HttpInput = require "framegate.dispatch.http_input"

local find, sub, lower, match, gmatch = string.find, string.sub, string.lower, string.match, string.gmatch

local HttpHead = {}

local MAX_HEAD = 65536 -- bytes of status line and headers

--- Reads header lines, each with a line break in front of it. White space before a colon is removed (RFC 9112 section 5.1).
---@param text string
---@return table<string, string|string[]> headers names in lower case
function HttpHead.headers(text)
  local headers = {}
  for name, value in gmatch(text, "\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    name, value = lower(Fields.trim_value(name)), Fields.trim_value(value)
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

local BEGINNING = "HTTP/1."

-- Whether the bytes read so far can be a response.
local function can_be_http(buffer)
  local length = math.min(#buffer, #BEGINNING)
  return sub(buffer, 1, length) == sub(BEGINNING, 1, length)
end

-- A line may end without its CR (RFC 9112 section 2.2).
local function end_of_head(buffer)
  local first, last = find(buffer, "\r\n\r\n", 1, true)
  if not first then
    first, last = find(buffer, "\n\r?\n")
  end
  return first, last
end

local function can_be_cgi() return true end

local function take_head(self, can_begin)
  local first, last = end_of_head(self.buffer)
  while not first do
    local ok, err = HttpInput.fill(self)
    if not ok then
      return nil, err
    end
    if not can_begin(self.buffer) then
      return nil, "what came is no HTTP/1.1 response", true
    end
    first, last = end_of_head(self.buffer)
    if (first or #self.buffer) > MAX_HEAD then
      return nil, "the headers of the answer are larger than 64 KB", true
    end
  end
  local head = sub(self.buffer, 1, first - 1)
  self.buffer = sub(self.buffer, last + 1)
  return head
end

local function read_final_head(self)
  while true do
    local head, err, is_garbled = take_head(self, can_be_http)
    if not head then
      return nil, err, is_garbled
    end
    local minor, status = match(head, "^HTTP/1%.(%d) (%d%d%d)%f[^%d]")
    status = tonumber(status)
    if not status or status == 101 then
      return nil, status and "the answer switches protocols" or "the status line cannot be read", true
    end
    -- An interim response (RFC 9110 section 15.2): the final one follows.
    if status < 100 or status >= 200 then
      self.status, self.minor = status, tonumber(minor)
      return head
    end
  end
end

-- Equal lengths may be repeated (RFC 9110 section 8.6).
local function length_of(value)
  if type(value) == "table" then
    for _, other in ipairs(value) do
      if other ~= value[1] then
        return nil
      end
    end
    value = value[1]
  end
  return match(value, "^%d+$") and #value <= 15 and tonumber(value) or nil
end

-- Where the body ends (RFC 9112 section 6.3).
local function find_end(self)
  local encoding, length = self.headers["transfer-encoding"], self.headers["content-length"]
  if self.status == 204 or self.status == 304 then
    self.remaining = 0
    self.is_ambiguous = encoding ~= nil or length ~= nil and length_of(length) ~= 0
  elseif encoding then
    if type(encoding) ~= "string" or lower(encoding) ~= "chunked" then
      return nil, "the transfer encoding of the answer is not chunked"
    end
    self.is_chunked, self.is_ambiguous = true, length ~= nil
  elseif length then
    self.remaining = length_of(length)
    if not self.remaining then
      return nil, "the content length of the answer is not a number"
    end
  else
    self.is_until_close = true
  end
  return true
end

--- Reads status line and headers. Skips interim responses.
---@param self HttpResponse gets status, headers and where the body ends
---@return boolean? ok
---@return string? err of the socket, "timeout" when the deadline has passed, or what is wrong with the response
---@return boolean? is_garbled whether the bytes are not a response
function HttpHead.read(self)
  local head, err, is_garbled = read_final_head(self)
  if not head then
    return nil, err, is_garbled
  end
  self.headers = HttpHead.headers(head)
  local ok
  ok, err = find_end(self)
  if not ok then
    return nil, err, true
  end
  return true
end

-- A redirection may have no status (RFC 3875 section 6.2.4), and nothing else needs one.
local function cgi_status(headers)
  local status = headers.status
  if not status then
    return headers.location and 302 or 200
  end
  return type(status) == "string" and tonumber(match(status, "^(%d%d%d)%f[^%d]")) or nil
end

--- Reads the headers of a response of CGI. Its body ends with the stream.
---@param self HttpResponse gets status and headers
---@return boolean? ok
---@return string? err as HttpHead.read
---@return boolean? is_garbled whether the bytes are not a response
function HttpHead.read_cgi(self)
  local head, err, is_garbled = take_head(self, can_be_cgi)
  if not head then
    return nil, err, is_garbled
  end
  self.headers = HttpHead.headers("\n" .. head)
  self.status, self.minor, self.is_until_close = cgi_status(self.headers), 1, true
  self.headers.status = nil
  if not self.status then
    return nil, "the header Status is not a status", true
  end
  return true
end

return HttpHead
