-- The frames that wait to be sent to one socket. Everything sent to it passes through here.
-- An outbox belongs to the connection and outlives a transport. flusher.lua or socket/writer.lua takes the bytes out.

local Config = require "framegate.config"

local concat = table.concat

---@class Outbox
---@field bytes integer that wait or are being written
---@field count integer of frames that wait
---@field waiting string|string[]|nil the frame that waits; a list when there are several
---@field transport Transport? that carries the frames; without one everything waits
---@field is_closed boolean? whether nothing more is accepted
local Outbox = {}
Outbox.__index = Outbox

-- A waiting frame costs memory beyond its bytes, and a pong has only two.
local MAX_FRAMES = 16384

local flusher
local total = 0 -- bytes of all outboxes of this worker

--- Gives this module the instances of its worker.
---@param worker Worker
function Outbox.wire(worker) flusher = worker.flusher end

---@return Outbox
function Outbox.new() return setmetatable({ count = 0, bytes = 0 }, Outbox) end

--- Sends everything through this transport from now on.
---@param transport Transport
function Outbox:set_transport(transport) self.transport = transport end

--- Counts the bytes that wait or are being written in all outboxes of this worker.
---@return integer bytes
function Outbox.total() return total end

--- Whether nothing more should be read from the client until it catches up.
---@return boolean
function Outbox:is_full() return self.bytes > Config.OUTBOX_BYTES or self.count > MAX_FRAMES end

--- Wakes the transport's reader, because there may be room again.
function Outbox:wake_reader()
  if self.transport then
    self.transport:wake_reader()
  end
end

--- Whether a push may be added. An empty outbox has room for any.
---@param bytes integer
---@return boolean
function Outbox:has_room(bytes) return self.bytes == 0 or self.bytes + bytes <= Config.OUTBOX_BYTES end

---@param frame string whole, as Encoder makes it
---@return boolean accepted false when the outbox is closed
function Outbox:push(frame)
  if self.is_closed then
    return false
  end
  local count = self.count + 1
  if count == 1 then
    self.waiting = frame
  elseif count == 2 then
    self.waiting = { self.waiting, frame }
  else
    self.waiting[count] = frame
  end
  local bytes = self.bytes
  self.count, self.bytes = count, bytes + #frame
  total = total + #frame
  if bytes == 0 then
    flusher:add(self)
  end
  return true
end

--- Accepts nothing more. Frames that wait may still leave.
function Outbox:close() self.is_closed = true end

--- Empties the outbox of a socket that has ended. Nobody writes to its transport any more.
function Outbox:clear()
  self.is_closed, self.transport = true, nil
  self:take()
  self:sent(self.bytes)
end

--- Takes everything that waits, oldest first. The caller calls `sent` when it is written.
---@return string? bytes nil when nothing waits
function Outbox:take()
  local count = self.count
  if count == 0 then
    return nil
  end
  local bytes = count == 1 and self.waiting or concat(self.waiting)
  self.waiting, self.count = nil, 0
  return bytes
end

---@param bytes integer that were taken and have left
function Outbox:sent(bytes)
  self.bytes, total = self.bytes - bytes, total - bytes
end

--- Puts back bytes that were taken and not sent. Nothing may have been pushed in between.
---@param bytes string
function Outbox:put_back(bytes)
  self.waiting, self.count = bytes, 1
end

return Outbox
