-- Fair turns: after its share of one turn of nginx's event loop a thread waits for the next turn.
-- Otherwise a socket that sends faster than it is read would keep its thread busy, and the worker would serve nobody else.

local Clock = require "framegate.runtime.clock"

local Turn = {}

local SHARE_BYTES = 65536
local NEXT_TURN_SECONDS = 0.001 -- a timer of 0 s would end in the same turn

local owner, time, spent

--- The cost of one frame, even an empty one, as the number of bytes that take the same time.
Turn.FRAME_BYTES = 2048

--- Waits for the next turn.
function Turn.next() ngx.sleep(NEXT_TURN_SECONDS) end

--- Counts a thread's work in this turn, and waits for the next turn once the share is used up; for more turns after a piece of
--- work that is worth several shares.
--- A turn is at least a millisecond; a thread that does less in it never waits.
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
    for _ = 1, math.floor(spent / SHARE_BYTES) do
      Turn.next()
    end
  end
end

return Turn
