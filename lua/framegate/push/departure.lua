-- What becomes of frames that leave an outbox: a session keeps the messages, and a transport that has agreed on it compresses
-- them. The rest of an earlier write, which comes first, has had both.

local Encoder = require "framegate.protocol.encoder"

local concat = table.concat

local Departure = {}

-- Keeps the messages that leave. Returns a ping that asks the client for them when they have become many.
local function keep(ring, frames, first, last)
  for i = first, last do
    if Encoder.is_message(frames[i]) then
      ring:add(frames[i])
    end
  end
  return ring:is_ping_due() and ring:ping() or ""
end

local function compress(compression, frames, first, last)
  local sent, growth = { frames[1] }, 0
  for i = first, last do
    sent[i] = compression:apply(frames[i])
    growth = growth + #sent[i] - #frames[i]
  end
  return concat(sent, "", 1, last), growth
end

-- One frame that waits, of a socket without a session: most pushes leave so, and make no table.
local function compress_one(outbox, frame)
  if outbox.has_rest then
    return frame, 0
  end
  local sent = outbox.transport.compression:apply(frame)
  return sent, #sent - #frame
end

--- Makes the bytes that are sent for the first frames of an outbox with a ring, or with a transport that compresses.
---@param outbox Outbox
---@param waiting string|string[]
---@param last integer number of the last one that leaves
---@return string bytes
---@return integer growth by how many bytes they are more than the frames
function Departure.of(outbox, waiting, last)
  local ring, transport = outbox.ring, outbox.transport
  if not ring and type(waiting) == "string" then
    return compress_one(outbox, waiting)
  end
  local frames = type(waiting) == "string" and { waiting } or waiting
  local first = outbox.has_rest and 2 or 1
  local ping = ring and keep(ring, frames, first, last) or ""
  if transport and transport.compression then
    local bytes, growth = compress(transport.compression, frames, first, last)
    return bytes .. ping, growth + #ping
  end
  return (last == 1 and frames[1] or concat(frames, "", 1, last)) .. ping, #ping
end

return Departure
