-- The lanes of this worker, and whether they are busy. A lane is fresh while its request is younger than FRESH_SECONDS;
-- FRESH_LANES of them are as much as a handler needs to be busy, and one is enough for as long as it may well answer the
-- next moment, which is YOUNG_SECONDS: the fewer there are, the more events travel together. A lane whose request is older
-- does not count: the handler is slow, not busy, and another lane is opened beside it, up to HANDLER_CONCURRENCY.

local Config = require "framegate.config"
local Lane = require "framegate.lane"

local Lanes = {}

local FRESH_LANES = 2
local FRESH_SECONDS = 0.010
local YOUNG_SECONDS = 0.005
Lanes.YOUNG_SECONDS = YOUNG_SECONDS

local idle = {}
local fresh = {}      -- lanes that carry something, and perhaps have for too long
local count = 0

--- Whether events that may travel together should gather.
---@return boolean
function Lanes.are_busy()
  local time, number = ngx.now(), 0
  for lane in pairs(fresh) do
    local age = lane.started and time - lane.started
    if age and age < YOUNG_SECONDS then
      return true
    elseif age and age <= FRESH_SECONDS then
      number = number + 1
    else
      fresh[lane] = nil
    end
  end
  return number >= FRESH_LANES
end

--- A lane that is free, or a new one.
---@param dispatch table gets the lane's answers
---@return Lane? lane nil when there are HANDLER_CONCURRENCY of them
function Lanes.take(dispatch)
  local lane = table.remove(idle)
  if lane then
    return lane
  end
  if count >= Config.capacity.lanes then
    return nil
  end
  lane = Lane.new(dispatch)
  lane:start()
  count = count + 1
  return lane
end

---@param lane Lane
---@param events Event[]
function Lanes.carry(lane, events)
  fresh[lane] = true
  lane:carry(events)
end

---@param lane Lane has nothing to do
function Lanes.free(lane)
  idle[#idle + 1] = lane
end

---@param lane Lane has ended
function Lanes.retire(lane)
  count = count - 1
  lane.started, fresh[lane] = nil, nil
  for i, other in ipairs(idle) do
    if other == lane then
      table.remove(idle, i)
    end
  end
end

--- Ends the lanes that are free.
function Lanes.stop()
  for _, lane in ipairs(idle) do
    lane:stop()
  end
end

--- How many there are, and how many of them carry something.
---@return { open: integer, busy: integer }
function Lanes.state()
  return { open = count, busy = count - #idle }
end

return Lanes
