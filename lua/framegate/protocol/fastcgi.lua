-- Records of FastCGI 1.0 (fastcgi-archives.github.io/FastCGI_Specification.html, sections 3, 5 and 8): bytes in and out.

local FastCgi = {}

local byte, char, sub, concat = string.byte, string.char, string.sub, table.concat
local floor = math.floor

local VERSION, REQUEST_ID = 1, 1
local BEGIN_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7
local RESPONDER = 1
local HEADER_BYTES = 8
local PIECE = 65528 -- bytes of content in one record; a multiple of 8, so it needs no padding

--- The most bytes of parameters. PHP reads each record of them by itself, so they have one record.
FastCgi.MAX_PARAMS = 65535

local KINDS = { [END_REQUEST] = "end", [STDOUT] = "stdout", [STDERR] = "stderr" }

-- How a request ended, by its protocol status (section 5.5).
local ENDINGS = { [0] = "complete", [2] = "overloaded" }

local function number16(value) return char(floor(value / 256), value % 256) end

local function header(type, length, padding)
  return char(VERSION, type) .. number16(REQUEST_ID) .. number16(length) .. char(padding, 0)
end

local function length_of(text)
  local bytes = #text
  if bytes < 128 then
    return char(bytes)
  end
  return char(128 + floor(bytes / 16777216), floor(bytes / 65536) % 256, floor(bytes / 256) % 256, bytes % 256)
end

--- Encodes one parameter (section 3.4).
---@param name string
---@param value string
---@return string
function FastCgi.pair(name, value) return length_of(name) .. length_of(value) .. name .. value end

local function add_stream(pieces, type, content)
  for first = 1, #content, PIECE do
    local piece = #content <= PIECE and content or sub(content, first, first + PIECE - 1)
    local padding = -#piece % 8
    pieces[#pieces + 1] = header(type, #piece, padding)
    pieces[#pieces + 1] = piece
    pieces[#pieces + 1] = padding > 0 and ("\0"):rep(padding) or nil
  end
  pieces[#pieces + 1] = header(type, 0, 0)
end

--- Encodes a request to a responder (section 6.2).
---@param request { params: string[], body: string, is_kept: boolean } `params`: pairs, at most MAX_PARAMS bytes together;
---  `is_kept`: the server keeps the connection
---@return string[] pieces
function FastCgi.request(request)
  local pieces = {
    header(BEGIN_REQUEST, 8, 0),
    number16(RESPONDER) .. char(request.is_kept and 1 or 0, 0, 0, 0, 0, 0),
  }
  local params = concat(request.params)
  pieces[#pieces + 1] = header(PARAMS, #params, 0)
  pieces[#pieces + 1] = params
  pieces[#pieces + 1] = header(PARAMS, 0, 0)
  add_stream(pieces, STDIN, request.body)
  return pieces
end

local function ending_of(content) return ENDINGS[byte(content, 5)] or "refused" end

--- Reads the next record.
---@param buffer string
---@return integer? size of the record in bytes; nil if it is not complete, or is none
---@return "stdout"|"stderr"|"end"|"other"|nil kind
---@return string? content; of the end "complete", "overloaded" or "refused"
---@return boolean? is_garbled whether the bytes are no record
function FastCgi.next(buffer)
  if #buffer > 0 and byte(buffer) ~= VERSION then
    return nil, nil, nil, true
  elseif #buffer < HEADER_BYTES then
    return nil
  end
  local _, type, _, _, high, low, padding = byte(buffer, 1, 7)
  local length = high * 256 + low
  local size = HEADER_BYTES + length + padding
  if #buffer < size then
    return nil
  end
  local kind = KINDS[type] or "other"
  if kind == "end" and length < 5 then
    return nil, nil, nil, true
  end
  local content = sub(buffer, HEADER_BYTES + 1, HEADER_BYTES + length)
  return size, kind, kind == "end" and ending_of(content) or content
end

return FastCgi
