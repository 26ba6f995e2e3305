-- Counts the messages and payload bytes of one connection, and adds them to the counters of the worker.
-- It also holds the connection's other numbers: its times, and how many events it has had.

local ffi = require "ffi"
local Clock = require "framegate.runtime.clock"
local Counters = require "framegate.telemetry.counters"

local Traffic = {}

ffi.cdef [[
  typedef struct {
    double frames_in, frames_out, bytes_in, bytes_out, last_read, last_ping, opened, opened_at, events;
  } framegate_traffic;
]]

local traffic_t = ffi.typeof("framegate_traffic")
local count, now, max = Counters.count, Clock.monotonic, math.max
local FRAMES_IN = Counters.place "framegate_frames_received_total"
local FRAMES_OUT = Counters.place "framegate_frames_sent_total"
local BYTES_IN = Counters.place "framegate_received_bytes_total"
local BYTES_OUT = Counters.place "framegate_sent_bytes_total"

-- A number takes 8 bytes here. As a field of the connection's table it takes 24, and a ninth field another 192.

---@class Traffic one small object, because every open socket holds one
---@field frames_in number
---@field frames_out number
---@field bytes_in number
---@field bytes_out number
---@field last_read number when anything last came, by Clock.monotonic; the time of its creation until then
---@field last_ping number when the peer was last pinged, by Clock.monotonic; 0 for never
---@field opened number when the connection began, wall clock, in seconds since 1970
---@field opened_at number the same by Clock.monotonic
---@field events number events made so far, which is the number of the next one; open is 0

---@return Traffic
function Traffic.new()
  local time = now()
  return traffic_t(0, 0, 0, 0, time, 0, ngx.now(), time, 0)
end

--- Records that bytes came, even if only a part of a message.
---@param traffic Traffic
function Traffic.note_read(traffic) traffic.last_read = now() end

--- Records that the peer is pinged.
---@param traffic Traffic
function Traffic.note_ping(traffic) traffic.last_ping = now() end

--- The time since bytes last came or the peer was last pinged.
---@param traffic Traffic
---@return number seconds
function Traffic.silence(traffic) return now() - max(traffic.last_read, traffic.last_ping) end

--- Counts a message that came.
---@param traffic Traffic of its connection
---@param bytes integer of its payload
function Traffic.received(traffic, bytes)
  traffic.frames_in, traffic.bytes_in = traffic.frames_in + 1, traffic.bytes_in + bytes
  count(FRAMES_IN)
  count(BYTES_IN, bytes)
end

--- Counts a message that is sent.
---@param traffic Traffic
---@param bytes integer of its payload
function Traffic.sent(traffic, bytes)
  traffic.frames_out, traffic.bytes_out = traffic.frames_out + 1, traffic.bytes_out + bytes
  count(FRAMES_OUT)
  count(BYTES_OUT, bytes)
end

return Traffic
