-- The messages of one session that were sent and are not acknowledged yet, oldest first.
-- It holds the frames as they are on the wire: a pushed frame is shared by all sockets that got it.
-- The oldest go when it is full. Then a client that needs them cannot resume.

local Config = require "framegate.config"
local Encoder = require "framegate.protocol.encoder"

---@class Ring
---@field top integer number of the last message that was sent; the first one has number 1
---@field base integer number of the last message that is not held any more
---@field bytes integer of the frames it holds
---@field confirmed integer number of the last message that a pong has confirmed
---@field private held integer bytes of the confirmed frames among them
---@field private pinged integer? number in the ping that is under way
---@field private unpinged integer bytes that were sent after the last ping
local Ring = {}
Ring.__index = Ring

local PING_BYTES = 65536 -- after so many bytes the client is asked what it has

-- A ring that has held nothing yet has few fields: many sessions are idle.
Ring.top, Ring.base, Ring.confirmed, Ring.held, Ring.bytes, Ring.unpinged = 0, 0, 0, 0, 0, 0

---@return Ring
function Ring.new() return setmetatable({}, Ring) end

local function drop_oldest(self)
  local number = self.base + 1
  self.bytes = self.bytes - #self[number]
  if number <= self.confirmed then
    self.held = self.held - #self[number]
  end
  self[number], self.base = nil, number
end

--- Adds a message that is sent now.
---@param frame string
function Ring:add(frame)
  local number = self.top + 1
  self[number], self.top = frame, number
  self.bytes, self.unpinged = self.bytes + #frame, self.unpinged + #frame
  while self.bytes > Config.SESSION_BYTES do
    drop_oldest(self)
  end
end

--- Notes that the client has all messages up to a number.
---@param number integer
function Ring:acknowledge(number)
  while self.base < math.min(number, self.top) do
    drop_oldest(self)
  end
  self.confirmed = math.max(self.confirmed, self.base)
end

-- Notes what the client has, and holds it.
local function confirm(self, number)
  for i = math.max(self.confirmed, self.base) + 1, number do
    self.held = self.held + #self[i]
  end
  self.confirmed = math.max(self.confirmed, number)
end

--- How many bytes no pong has confirmed.
---@return integer
function Ring:unconfirmed() return self.bytes - self.held end

--- Accepts the payload of a pong. Only that of our own ping acknowledges messages (RFC 6455 section 5.5.3). What it confirms
--- is held until the next one: a client that dials while its connection still lives has counted before its last pong.
---@param payload string
function Ring:pong(payload)
  local number = tonumber(payload:match("^%d+$"))
  if number and self.pinged and number <= self.pinged then
    self:acknowledge(self.confirmed)
    confirm(self, number)
    self.pinged = number < self.pinged and self.pinged or nil
  end
end

--- Whether the client should be asked now what it has. There is one ping under way at most.
---@return boolean
function Ring:is_ping_due() return self.unpinged >= PING_BYTES and not self.pinged end

--- Whether something is not confirmed that no ping under way asks about.
---@return boolean
function Ring:is_unasked() return self.top > math.max(self.confirmed, self.base) and not self.pinged end

--- Makes a ping whose pong acknowledges everything that was sent before it.
---@param number integer? of the last message before it; by default the last one that was sent
---@return string frame
function Ring:ping(number)
  self.pinged, self.unpinged = number or self.top, 0
  return Encoder.ping(tostring(self.pinged))
end

--- Forgets the ping under way: its transport is gone.
function Ring:forget_ping()
  self.pinged, self.unpinged = nil, 0
end

--- Whether a client can go on behind a message: everything after it is here.
---@param number integer
---@return boolean
function Ring:covers(number) return number >= self.base and number <= self.top end

--- The messages after a number, as one string.
---@param number integer that `covers` accepts
---@return string bytes
function Ring:after(number)
  local frames = {}
  for i = number + 1, self.top do
    frames[#frames + 1] = self[i]
  end
  return table.concat(frames)
end

--- The frames it holds, oldest first.
---@return string[]
function Ring:frames()
  local frames = {}
  for i = self.base + 1, self.top do
    frames[#frames + 1] = self[i]
  end
  return frames
end

--- Makes a ring from what another worker had.
---@param base integer
---@param frames string[]
---@return Ring
function Ring.restore(base, frames)
  local self = Ring.new()
  self.top, self.base, self.confirmed = base, base, base
  for _, frame in ipairs(frames) do
    self:add(frame)
  end
  self:forget_ping()
  return self
end

return Ring
