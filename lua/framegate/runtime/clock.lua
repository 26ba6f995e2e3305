-- Two clocks: a monotonic one for durations and deadlines, and a wall clock for times that people and protocols read.

local ffi = require "ffi"

ffi.cdef [[
  typedef struct { long seconds, nanoseconds; } framegate_timespec;
  int clock_gettime(int clock, framegate_timespec *time);
  extern volatile uintptr_t ngx_current_msec;
]]

local Clock = {}

local CLOCK_REALTIME, CLOCK_MONOTONIC = 0, 1
local C, spec = ffi.C, ffi.new("framegate_timespec")

--- The time for durations and deadlines (clock_gettime(2), CLOCK_MONOTONIC).
--- It is the same in all processes of a machine.
---@return number seconds since some point in the past
function Clock.monotonic()
  C.clock_gettime(CLOCK_MONOTONIC, spec)
  return tonumber(spec.seconds) + tonumber(spec.nanoseconds) * 1e-9
end

--- The time of nginx's event loop (ngx_current_msec): it stands still while one turn of the loop lasts.
---@return integer milliseconds since some point in the past
function Clock.loop_time() return tonumber(C.ngx_current_msec) end

local date, floor, format, now = os.date, math.floor, string.format, ngx.now

local second, prefix = -1, ""

--- Writes a point in time in the format of CloudEvents (RFC 3339, milliseconds, UTC).
---@param time number seconds since 1970
---@return string such as 2026-11-20T10:00:00.123Z
function Clock.format(time)
  local milliseconds = floor(time * 1000 + 0.5)
  local whole = floor(milliseconds / 1000)
  if whole ~= second then
    second, prefix = whole, date("!%Y-%m-%dT%H:%M:%S", whole)
  end
  return format("%s.%03dZ", prefix, milliseconds - whole * 1000)
end

local last, last_text

--- The current time, in the same format. It stands still while one turn of nginx's event loop lasts.
---@return string
function Clock.timestamp()
  local time = now()
  if time ~= last then
    last, last_text = time, Clock.format(time)
  end
  return last_text
end

--- The current time, for protocols that count from 1970.
---@return integer seconds since 1970
function Clock.unix_time() return floor(now()) end

--- The current time, for protocols that count milliseconds. It stands still while one turn of nginx's event loop lasts.
---@return integer milliseconds since 1970
function Clock.unix_milliseconds() return floor(now() * 1000 + 0.5) end

--- The current time, for protocols that need it exactly (clock_gettime(2), CLOCK_REALTIME).
---@return integer microseconds since 1970
function Clock.unix_microseconds()
  C.clock_gettime(CLOCK_REALTIME, spec)
  return tonumber(spec.seconds) * 1000000 + floor(tonumber(spec.nanoseconds) / 1000)
end

return Clock
