-- What a FastCGI server writes for one request: its output, read as from a cosocket. `closed` is the end of the request.
-- What it writes to its error stream is logged.

local Clock = require "framegate.runtime.clock"
local FastCgi = require "framegate.protocol.fastcgi"
local Log = require "framegate.runtime.log"

---@class FastCgiStream
---@field socket table a connected cosocket
---@field peer Peer for the log
---@field deadline number in seconds of the monotonic clock
---@field buffer string
---@field ending "complete"|"overloaded"|"refused"|nil how the request ended
---@field is_garbled boolean? whether what came are no records
local FastCgiStream = {}
FastCgiStream.__index = FastCgiStream

local CHUNK = 65536
local MAX_REPORTS = 20 -- lines of one request

---@param connection HandlerConnection over which the request was sent
---@param deadline number in seconds of the monotonic clock
---@return FastCgiStream
function FastCgiStream.new(connection, deadline)
  return setmetatable({
    socket = connection.socket,
    peer = connection.peer,
    deadline = deadline,
    buffer = "",
    reports = 0,
  }, FastCgiStream)
end

-- PHP joins its messages with line breaks.
local function report(self, text)
  for line in text:gmatch("[^\r\n]+") do
    self.reports = self.reports + 1
    if self.reports <= MAX_REPORTS then
      Log.limited(Log.warn, "fastcgi", nil, "the handler with the script ", self.peer.script, " reports: ", line)
    end
  end
end

local function fill(self)
  local left = self.deadline - Clock.monotonic()
  if left <= 0 then
    return nil, "timeout"
  end
  self.socket:settimeout(math.ceil(left * 1000))
  local chunk, err = self.socket:receiveany(CHUNK)
  if not chunk then
    return nil, err == "closed" and "broken" or err
  end
  self.buffer = self.buffer == "" and chunk or self.buffer .. chunk
  return true
end

-- The time-out is until the deadline.
function FastCgiStream.settimeout() end

--- Reads some bytes of output.
---@return string? bytes
---@return string? err "closed" at the end of the request, "broken" if the connection ended before, or as a cosocket's
function FastCgiStream:receiveany()
  while not self.ending do
    local size, kind, content, is_garbled = FastCgi.next(self.buffer)
    if is_garbled then
      self.is_garbled = true
      return nil, "what came are no records of FastCGI"
    elseif not size then
      local ok, err = fill(self)
      if not ok then
        return nil, err
      end
    else
      self.buffer = self.buffer:sub(size + 1)
      if kind == "stdout" and content ~= "" then
        return content
      elseif kind == "stderr" then
        report(self, content)
      elseif kind == "end" then
        self.ending = content
      end
    end
  end
  return nil, "closed"
end

--- Whether another request may follow on the connection, if the server keeps it.
---@return boolean
function FastCgiStream:has_ended() return self.ending == "complete" and self.buffer == "" end

return FastCgiStream
