-- Buffered reading of a response from a cosocket, up to a deadline. Bytes that were read but not taken are in `buffer`.

local Clock = require "framegate.runtime.clock"

local find, sub, ceil = string.find, string.sub, math.ceil
local now = Clock.monotonic

---@class HttpInput
---@field socket table a connected cosocket; its time-out is the time until the deadline
---@field deadline number in seconds of the monotonic clock
---@field buffer string
---@field has_read boolean?
---@field read_bytes integer? most bytes of one read
---@field is_garbled boolean? whether the framing of the body is wrong
local HttpInput = {}

local CHUNK = 65536

--- Reads more into the buffer. The first read uses the time-out of the socket; later ones use the time that is left.
---@param self HttpInput
---@return boolean? ok
---@return string? err of the socket, or "timeout" when the deadline has passed
function HttpInput.fill(self)
  if self.has_read then
    local left = self.deadline - now()
    if left <= 0 then
      return nil, "timeout"
    end
    self.socket:settimeout(ceil(left * 1000))
  end
  self.has_read = true
  local chunk, err = self.socket:receiveany(self.read_bytes or CHUNK)
  if not chunk then
    return nil, err
  end
  self.buffer = self.buffer == "" and chunk or self.buffer .. chunk
  return true
end

--- Takes bytes from the buffer, or reads if it is empty.
---@param self HttpInput
---@param most integer bytes
---@return string? piece
---@return string? err as fill
function HttpInput.take(self, most)
  if self.buffer == "" then
    local ok, err = HttpInput.fill(self)
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

--- Takes a line, without its end. A line may end without its CR (RFC 9112 section 2.2).
---@param self HttpInput
---@param most integer bytes
---@return string? line
---@return string? err as fill, or that the line is too long
function HttpInput.line(self, most)
  while true do
    local last = find(self.buffer, "\n", 1, true)
    if last then
      local line = sub(self.buffer, 1, last - (sub(self.buffer, last - 1, last - 1) == "\r" and 2 or 1))
      self.buffer = sub(self.buffer, last + 1)
      return line
    end
    if #self.buffer > most then
      self.is_garbled = true
      return nil, "a line of the body's framing is too long"
    end
    local ok, err = HttpInput.fill(self)
    if not ok then
      return nil, err
    end
  end
end

return HttpInput
