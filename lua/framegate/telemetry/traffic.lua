-- Messages and bytes of payload that one connection has received and sent; the worker's own counts go along.

local ffi = require "ffi"
local Counters = require "framegate.telemetry.counters"

local Traffic = {}

ffi.cdef "typedef struct { double frames_in, frames_out, bytes_in, bytes_out; } framegate_traffic;"

local count = Counters.count
local FRAMES_IN = Counters.place "framegate_frames_received_total"
local FRAMES_OUT = Counters.place "framegate_frames_sent_total"
local BYTES_IN = Counters.place "framegate_received_bytes_total"
local BYTES_OUT = Counters.place "framegate_sent_bytes_total"

---@class Traffic one small object, because a socket holds it for as long as it is open
---@field frames_in number
---@field frames_out number
---@field bytes_in number
---@field bytes_out number
Traffic.new = ffi.typeof("framegate_traffic")

--- A message came.
---@param traffic Traffic of its connection
---@param bytes integer of its payload
function Traffic.received(traffic, bytes)
  traffic.frames_in, traffic.bytes_in = traffic.frames_in + 1, traffic.bytes_in + bytes
  count(FRAMES_IN)
  count(BYTES_IN, bytes)
end

-- What stands before the payload of a server's frame (RFC 6455 section 5.2).
local function payload_of(length) return length - (length <= 127 and 2 or length <= 65539 and 4 or 10) end

--- A message is on its way.
---@param traffic Traffic
---@param length integer of the whole frame
function Traffic.sent(traffic, length)
  local bytes = payload_of(length)
  traffic.frames_out, traffic.bytes_out = traffic.frames_out + 1, traffic.bytes_out + bytes
  count(FRAMES_OUT)
  count(BYTES_OUT, bytes)
end

return Traffic
