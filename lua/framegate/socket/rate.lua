-- MESSAGE_RATE: frames a second that one address (of IPv6 a /64) may send, over all its sockets and all workers. A bucket
-- that holds a second's worth, as a single number in shared memory: the time at which it would be empty again (the generic
-- cell rate algorithm). It is changed by atomic increments alone.

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
  local key = Address.network(address) .. " " .. rate -- locations with rates of their own count apart
  local interval = 1 / rate
  local burst = math.max(1, rate) * interval -- seconds that may be used up ahead
  local time = now()
  local due = rates:incr(key, interval, time, burst + interval + 1)
  if not due then
    return nil -- shared memory is full: better a frame too many than one lost
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
