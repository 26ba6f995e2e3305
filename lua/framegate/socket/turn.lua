-- Fair turns: a socket that sends faster than it is read would never let its thread wait, and the worker would serve nobody
-- else. After its share of a turn of nginx's event loop the thread waits for another turn.

local Clock = require "framegate.runtime.clock"

local Turn = {}

local SHARE_BYTES = 65536
local NEXT_TURN_SECONDS = 0.001 -- a timer of 0 s would end in the same turn

local owner, time, spent

--- The time that one more frame takes, be it empty, in bytes that take as long.
Turn.FRAME_BYTES = 2048

--- Counts what a thread has worked in this turn, and waits for another turn when that is its share. A turn is a millisecond
--- at least: who does less in one never waits.
---@param of any whose turn it is
---@param bytes integer
function Turn.spend(of, bytes)
  local loop_time = Clock.loop_time()
  if owner ~= of or time ~= loop_time then
    owner, time, spent = of, loop_time, 0
  end
  spent = spent + bytes
  if spent >= SHARE_BYTES then
    owner = nil
    ngx.sleep(NEXT_TURN_SECONDS)
  end
end

return Turn
