-- MESSAGE_RATE: frames a second that one address (an IPv6 /64) may send, over all its sockets and workers.
-- Each address has a bucket for one second's worth of frames (the generic cell rate algorithm). Shared memory holds one
-- number for it, the time at which it is empty again. Only atomic increments change that number.

local Address = require "framegate.protocol.address"
local Clock = require "framegate.runtime.clock"

local Rate = {}

local rates = ngx.shared.rates
local now = Clock.monotonic

--- Takes one frame out of the address's bucket.
---@param address string
---@param rate number frames a second
---@return number? seconds until the next frame will be accepted; nil when this one is
function Rate.take(address, rate)
  local key = Address.network(address) .. " " .. rate -- locations with different rates count separately
  local interval = 1 / rate
  local burst = math.max(1, rate) * interval -- seconds that an address may use in advance
  local time = now()
  local due = rates:incr(key, interval, time, burst + interval + 1)
  if not due then
    return nil -- shared memory is full: one frame too many is better than a lost one
  end
  if due - interval < time then
    due = time + interval
    rates:set(key, due, burst + interval + 1)
  end
  if due - time <= burst + 0.001 then
    rates:expire(key, burst + interval + 1)
    return nil
  end
  rates:incr(key, -interval)
  return due - burst - time
end

return Rate
