-- Parses bytes into messages: joins frames, checks their order and their text by RFC 6455 (sections 5.4, 5.5 and 8.1).
-- It does no I/O: `push` accepts what was read, and `next` returns one complete message or control frame at a time.

local ffi = require "ffi"
local CloseCode = require "framegate.protocol.close_code"
local Frame = require "framegate.protocol.frame"
local Utf8 = require "framegate.protocol.utf8"
local Zlib = require "framegate.protocol.zlib"

local concat, sub = table.concat, string.sub

---@class MessageParser
local MessageParser = {}
MessageParser.__index = MessageParser

local CONTROL = { [Frame.CLOSE] = "close", [Frame.PING] = "ping", [Frame.PONG] = "pong" }

-- Parts are joined in groups of this size. A message of very many tiny fragments stays small, and each byte is copied at
-- most twice.
local GROUP = 256

---@param max_bytes integer of a message; longer ones fail with 1009
---@return MessageParser
function MessageParser.new(max_bytes)
  return setmetatable({
    max_bytes = max_bytes,
    buffer = "",
    position = 1, -- of the next unread byte in buffer
    in_frame = false, -- the header below is read, but not all of its payload
    header = {},
    remaining = 0, -- bytes of payload that are still missing
    kind = nil, -- "text" or "binary" while a message is in progress
    is_compressed = false, -- that message
    deflated = nil, -- bytes on the wire of the last message, if it was compressed
    groups = {}, -- joined parts of the message so far
    parts = {}, -- parts after those
    bytes = 0, -- of the message so far
    ended = 0, -- messages and control frames so far
    text_state = Utf8.COMPLETE,
    control = "", -- payload of a control frame so far
  }, MessageParser)
end

--- Accepts bytes that were read from the socket.
---@param chunk string
---@param takes_compressed boolean? whether its messages may be compressed (RFC 7692)
function MessageParser:push(chunk, takes_compressed)
  self.header.takes_compressed = takes_compressed
  if self.position > #self.buffer then
    self.buffer = chunk
  else
    self.buffer = sub(self.buffer, self.position) .. chunk
  end
  self.position = 1
end

--- Whether a message or frame has begun but not ended. If not, the parser may serve another socket.
function MessageParser:is_unfinished() return self.kind ~= nil or self.in_frame or self.position <= #self.buffer end

--- How much of an unfinished message has arrived.
---@return integer bytes
function MessageParser:received() return math.max(0, self.bytes - self.remaining) end

local function too_big(self)
  return "error", "a message may have " .. self.max_bytes .. " bytes at most", CloseCode.TOO_BIG
end

-- By how many bytes deflate may lengthen a message: deflateBound in zlib.h, and what flushes cost if it comes in fragments.
local function slack(bytes) return bytes / 4 + 1024 end

local function begin_frame(self)
  local size, violation = Frame.read_header(self.buffer, self.position, self.header)
  if violation then
    return "error", violation, CloseCode.PROTOCOL_ERROR
  end
  if not size then
    return nil
  end
  self.position = self.position + size
  local opcode, length = self.header.opcode, self.header.length
  self.remaining, self.in_frame = length, true
  if opcode >= Frame.CLOSE then
    self.control = ""
    return "begun"
  end
  if opcode == Frame.CONTINUATION and not self.kind then
    return "error", "a continuation frame needs a message to continue", CloseCode.PROTOCOL_ERROR
  end
  if opcode ~= Frame.CONTINUATION then
    if self.kind then
      return "error", "the message before has not ended", CloseCode.PROTOCOL_ERROR
    end
    self.kind = opcode == Frame.TEXT and "text" or "binary"
    self.is_compressed = self.header.is_compressed
  end
  if self.bytes + length > self.max_bytes + (self.is_compressed and slack(self.max_bytes) or 0) then
    return too_big(self)
  end
  self.bytes = self.bytes + length
  return "begun"
end

-- Takes the part of the frame's payload that has arrived. Returns its bytes as a string, or nil and a close code.
local function take_payload(self, length)
  local header = self.header
  local bytes = Frame.unmask(self.buffer, self.position - 1, length, header.mask)
  header.mask = Frame.turn(header.mask, length)
  self.position = self.position + length
  self.remaining = self.remaining - length
  if self.kind == "text" and not self.is_compressed and header.opcode < Frame.CLOSE then
    self.text_state = Utf8.validate(self.text_state, bytes, length)
    if self.text_state == Utf8.INVALID then
      return nil
    end
  end
  return ffi.string(bytes, length)
end

local function end_control(self)
  self.in_frame = false
  if not self.kind then
    self.ended = self.ended + 1
  end
  return CONTROL[self.header.opcode], self.control
end

-- Decompresses a message that has arrived completely.
local function inflate(self, kind, deflated)
  local payload, err = Zlib.inflate(deflated, self.max_bytes)
  if err == "too big" then
    return too_big(self)
  elseif err then
    return "error", "a compressed message is deflate data, and whole", CloseCode.INVALID_DATA
  elseif kind == "text" and not Utf8.is_valid(payload) then
    return "error", "a text message is UTF-8", CloseCode.INVALID_DATA
  end
  self.deflated = #deflated
  return kind, payload
end

local function end_data(self)
  self.in_frame = false
  if not self.header.fin then
    return "fragment"
  end
  if self.text_state ~= Utf8.COMPLETE then
    return "error", "a text message is UTF-8, and ended inside a character", CloseCode.INVALID_DATA
  end
  local kind, parts, groups = self.kind, self.parts, self.groups
  local payload = concat(parts)
  if groups[1] then
    groups[#groups + 1] = payload
    payload = concat(groups)
    self.groups = {}
  end
  self.kind, self.bytes, self.ended = nil, 0, self.ended + 1
  if parts[1] then
    self.parts = {}
  end
  if self.is_compressed then
    return inflate(self, kind, payload)
  end
  self.deflated = nil
  return kind, payload
end

local function add_part(self, part)
  local parts = self.parts
  parts[#parts + 1] = part
  if #parts == GROUP then
    self.groups[#self.groups + 1] = concat(parts)
    self.parts = {}
  end
end

local function continue_frame(self)
  local there = #self.buffer - self.position + 1
  local length = there < self.remaining and there or self.remaining
  local is_control = self.header.opcode >= Frame.CLOSE
  if length > 0 then
    local part = take_payload(self, length)
    if not part then
      return "error", "a text message is UTF-8", CloseCode.INVALID_DATA
    end
    if is_control then
      self.control = self.control .. part
    else
      add_part(self, part)
    end
  end
  if self.remaining > 0 then
    return nil
  end
  if is_control then
    return end_control(self)
  end
  return end_data(self)
end

--- Returns the next complete frame; a message comes with its last one. After "error" it must not be called again.
---@return "text"|"binary"|"fragment"|"ping"|"pong"|"close"|"error"|nil kind nil while bytes are missing
---@return string? payload of an error: what was wrong, in words for a close reason
---@return integer? code of an error: the close code to send
function MessageParser:next()
  while true do
    local kind, payload, code
    if self.in_frame then
      kind, payload, code = continue_frame(self)
    else
      kind, payload, code = begin_frame(self)
    end
    if kind ~= "begun" then
      return kind, payload, code
    end
  end
end

return MessageParser
