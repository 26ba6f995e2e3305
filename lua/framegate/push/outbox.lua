-- The frames that wait to be sent to one socket. Everything sent to it passes through here.
-- An outbox belongs to the connection and outlives a transport. flusher.lua or socket/writer.lua takes the bytes out.

local Config = require "framegate.config"
local Departure = require "framegate.push.departure"
local Encoder = require "framegate.protocol.encoder"
local Latest = require "framegate.push.latest"

local concat, insert = table.concat, table.insert

---@class Outbox
---@field bytes integer that wait or are being written
---@field count integer of frames that wait
---@field waiting string|string[]|nil the frame that waits; a list when there are several
---@field transport Transport? that carries the frames; without one everything waits
---@field is_closed boolean? whether nothing more is accepted
---@field latest Latest? of a socket that gets frames with keys
---@field ring Ring? of a session: what leaves is kept there until the client has it
---@field has_rest boolean? whether the first that waits is the rest of a write of a session, or of a transport that compresses
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

--- Counts the bytes of all outboxes of this worker.
---@return integer
function Outbox.total() return total end

--- Whether nothing more should be read from the client now.
---@return boolean
function Outbox:is_full() return self.bytes > Config.OUTBOX_BYTES or self.count > MAX_FRAMES end

--- Wakes the transport's reader, because there may be room again.
function Outbox:wake_reader()
  if self.transport then
    self.transport:wake_reader()
  end
end

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

local function waiting_at(self, place) return self.count == 1 and self.waiting or self.waiting[place] end

--- Whether a push may be added (an empty outbox takes any), or replace one with the same key that is at least as long.
---@param frame string
---@param key string?
---@return boolean
function Outbox:accepts(frame, key)
  if self.bytes == 0 or self.bytes + #frame <= Config.OUTBOX_BYTES then
    return true
  end
  local place = key and self.latest and self.latest.places[key]
  return place ~= nil and #frame <= #waiting_at(self, place)
end

-- Puts a frame in place of the one with the same key, if that still waits.
local function replace(self, frame, key)
  local place = self.latest and not self.is_closed and self.latest.places[key]
  if not place then
    return false
  end
  local growth = #frame - #waiting_at(self, place)
  if self.count == 1 then
    self.waiting = frame
  else
    self.waiting[place] = frame
  end
  self.bytes, total = self.bytes + growth, total + growth
  return true
end

-- Gives the frame that was pushed last a key.
local function note_key(self, key)
  if not self.latest then
    self.latest = Latest.new()
    if self.transport then
      self.transport:wake() -- the writer limits the kernel's buffer
    end
  end
  self.latest:note(key, self.count)
end

--- Pushes a frame that takes the place of an earlier one with the same key, or waits for a later one.
---@param frame string whole, as Encoder makes it
---@param key string
---@return boolean accepted false when the outbox is closed
function Outbox:push_latest(frame, key)
  if replace(self, frame, key) then
    return true
  end
  local is_accepted = self:push(frame)
  if is_accepted then
    note_key(self, key)
  end
  return is_accepted
end

--- The messages that wait in an outbox without a transport.
---@return string[] frames oldest first
---@return table<string, string>? keys by position
function Outbox:contents()
  local frames, keys = {}, self.latest and {}
  for i = 1, self.count do
    local frame = waiting_at(self, i)
    if Encoder.is_message(frame) then
      frames[#frames + 1] = frame
      if keys then
        keys[tostring(#frames)] = self.latest.keys[i]
      end
    end
  end
  return frames, keys
end

--- Keeps what leaves from now on.
---@param ring Ring
function Outbox:set_ring(ring) self.ring = ring end

--- Loses the transport of a session, and what was only for that: pings, and a close frame. What was taken is in the ring.
function Outbox:detach()
  local rest, bytes, latest, keys = {}, 0, Latest.new(), self.latest and self.latest.keys or {}
  for i = self.has_rest and 2 or 1, self.count do
    local frame = waiting_at(self, i)
    if Encoder.is_message(frame) then
      rest[#rest + 1], bytes = frame, bytes + #frame
      latest:adopt(keys[i], #rest)
    end
  end
  self.transport, self.has_rest, self.latest = nil, nil, self.latest and latest
  self.count, self.waiting = #rest, #rest > 1 and rest or rest[1]
  self:sent(self.bytes - bytes)
end

--- Accepts nothing more. Frames that wait may still leave.
function Outbox:close() self.is_closed = true end

--- Empties the outbox of a socket that has ended.
function Outbox:clear()
  self.is_closed, self.transport = true, nil
  self.waiting, self.count, self.latest = nil, 0, nil
  self:sent(self.bytes)
end

-- Whether the transport compresses.
local function is_compressed(self) return self.transport and self.transport.compression end

-- The bytes that are sent for the first frames that wait.
local function leave(self, waiting, last)
  if not self.ring and not is_compressed(self) then
    return last == 1 and type(waiting) == "string" and waiting or concat(waiting, "", 1, last)
  end
  local bytes, growth = Departure.of(self, waiting, last)
  self.has_rest = nil
  self.bytes, total = self.bytes + growth, total + growth
  return bytes
end

-- Takes the next part. The rest can still be replaced.
local function take_part(self)
  local waiting, count = self.waiting, self.count
  local last = Latest.part_of(waiting, count)
  local rest = {}
  for i = last + 1, count do
    rest[i - last] = waiting[i]
  end
  self.waiting, self.count = count - last == 1 and rest[1] or rest, count - last
  self.latest:move(-last)
  return leave(self, waiting, last)
end

--- Takes everything that waits, oldest first; a part of it when frames have keys. The caller calls `sent` afterwards.
---@return string? bytes nil when nothing waits
function Outbox:take()
  local count = self.count
  if count == 0 then
    return nil
  end
  if self.latest then
    if count > 1 then
      return take_part(self)
    end
    self.latest:move(-1)
  end
  local waiting = self.waiting
  self.waiting, self.count = nil, 0
  return leave(self, waiting, count)
end

---@param bytes integer that were taken and have left
function Outbox:sent(bytes)
  self.bytes, total = self.bytes - bytes, total - bytes
end

--- Puts back bytes that were taken and not sent. Nothing may have been pushed in between.
---@param bytes string
function Outbox:put_back(bytes)
  local count = self.count
  self.has_rest = (self.ring or is_compressed(self)) and true or nil
  if count > 0 then
    self.waiting = count == 1 and { bytes, self.waiting } or self.waiting
    if count > 1 then
      insert(self.waiting, 1, bytes)
    end
    self.count = count + 1
    return self.latest:move(1)
  end
  self.waiting, self.count = bytes, 1
end

return Outbox
