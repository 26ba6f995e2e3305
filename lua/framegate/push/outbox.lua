-- What waits to be sent to one socket. Everything that a socket sends passes here; sender.lua takes it, or the thread of
-- the socket (writer.lua).

local semaphore = require "ngx.semaphore"
local build_frame = require("resty.websocket.protocol").build_frame
local CloseCode = require "framegate.protocol.close_code"
local Frame = require "framegate.protocol.frame"
local Flusher = require "framegate.push.flusher"

local concat = table.concat

---@class Outbox
---@field bytes integer that wait or are being written
---@field is_closed boolean? nothing more is taken
---@field count integer of frames that wait
---@field first string? of the frames that wait: mostly there is no other
---@field frames string[]? all that wait, when there are several
---@field address integer? of nginx's connection, when sender.lua may write to it
---@field is_writing boolean? whether the thread is in the middle of a write
local Outbox = {}
Outbox.__index = Outbox

local total = 0 -- bytes of all outboxes of this worker

---@return Outbox
function Outbox.new() return setmetatable({ count = 0, bytes = 0, semaphore = semaphore.new() }, Outbox) end

--- What waits or is being written in all outboxes of this worker, in bytes.
---@return integer
function Outbox.total() return total end

--- A frame as it goes over the wire: built once, however many sockets get it.
---@param payload string
---@param is_text boolean
---@return string
function Outbox.build(payload, is_text)
  return build_frame(true, is_text and Frame.TEXT or Frame.BINARY, #payload, payload, false)
end

---@param frame string whole, as build gives it
---@return boolean taken false when the outbox is closed
function Outbox:push(frame)
  if self.is_closed then
    return false
  end
  local count = self.count + 1
  if count == 1 then
    self.first = frame
  elseif count == 2 then
    self.frames = { self.first, frame }
  else
    self.frames[count] = frame
  end
  local bytes = self.bytes
  self.count, self.bytes = count, bytes + #frame
  total = total + #frame
  if bytes == 0 then
    Flusher.add(self)
  end
  return true
end

---@param payload string of the ping, at most 125 bytes
function Outbox:pong(payload) return self:push(build_frame(true, Frame.PONG, #payload, payload, false)) end

function Outbox:ping() return self:push(build_frame(true, Frame.PING, 0, "", false)) end

--- Takes a close frame and nothing after it.
---@param code integer? none for an empty close frame
---@param reason string?
---@return boolean taken
function Outbox:close(code, reason)
  local payload = CloseCode.payload(code, reason)
  local taken = self:push(build_frame(true, Frame.CLOSE, #payload, payload, false))
  self.is_closed = true
  return taken
end

--- Ends the writer, whatever still waits: the peer is gone.
function Outbox:abandon()
  self.is_closed, self.is_abandoned = true, true
  self:wake()
end

--- The connection has ended: nothing waits any more.
function Outbox:clear()
  self:abandon()
  self.address = nil
  self:take()
  self:sent(self.bytes)
end

--- Everything that waits, oldest first. The caller says `sent` when it is written.
---@return string? bytes nil when nothing waits
function Outbox:take()
  local count = self.count
  if count == 0 then
    return nil
  end
  local bytes = count == 1 and self.first or concat(self.frames)
  self.first, self.frames, self.count = nil, nil, 0
  return bytes
end

---@param bytes integer
function Outbox:sent(bytes)
  self.bytes, total = self.bytes - bytes, total - bytes
end

--- What was taken and not sent.
---@param bytes string
function Outbox:put_back(bytes)
  self.first, self.count = bytes, 1
end

--- Waits until the thread is needed, or `seconds` have passed. A tail call: a waiting socket keeps no frame for it.
---@param seconds number
function Outbox:wait(seconds) return self.semaphore:wait(seconds) end

--- Wakes the writer if it waits: a semaphore's count is below 0 then.
function Outbox:wake()
  if self.semaphore:count() < 0 then
    self.semaphore:post()
  end
end

return Outbox
