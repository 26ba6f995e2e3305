-- The lanes of this worker, and whether they are busy. While a request is young, which is twice as long as requests took of late
-- to be answered, the handler may well be busy with it, and one lane is enough: the fewer there are, the more events travel
-- together. For as long again FRESH_LANES of them are enough. A lane whose answers have begun to come, or whose request is older,
-- does not count: the handler is slow, not busy, and another lane is opened beside it, up to HANDLER_CONCURRENCY.

local Config = require "framegate.config"
local Lane = require "framegate.dispatch.lane"

local LanePool = {}

local FRESH_LANES = 2
local YOUNG_TIMES = 2
local YOUNG_AT_LEAST, YOUNG_AT_MOST = 0.002, 0.005
local LATELY = 16 -- requests, about

local usual = YOUNG_AT_MOST -- seconds until the first answer to a request, of late

local idle = {}
local fresh = {} -- lanes that carry something, and perhaps have for too long
local count = 0
local is_closed = false

--- For how long a request is young.
---@return number seconds
function LanePool.young_seconds() return math.max(YOUNG_AT_LEAST, math.min(usual * YOUNG_TIMES, YOUNG_AT_MOST)) end

--- Whether events that may travel together should gather.
---@return boolean
function LanePool.are_busy()
  local time, number, young = ngx.now(), 0, LanePool.young_seconds()
  for lane in pairs(fresh) do
    local age = lane.started and not lane.has_answered and time - lane.started
    if age and age < young then
      return true
    elseif age and age <= 2 * young then
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
function LanePool.take(dispatch)
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
function LanePool.carry(lane, events)
  fresh[lane] = true
  lane:carry(events)
end

---@param lane Lane has nothing to do
function LanePool.free(lane)
  if lane.took then
    usual = usual + (math.min(lane.took, YOUNG_AT_MOST) - usual) / LATELY
  end
  idle[#idle + 1] = lane
  if is_closed then
    lane:stop()
  end
end

---@param lane Lane has ended
function LanePool.retire(lane)
  count = count - 1
  lane.started, fresh[lane] = nil, nil
  for i, other in ipairs(idle) do
    if other == lane then
      table.remove(idle, i)
    end
  end
end

--- Ends the lanes that are free.
function LanePool.stop()
  for _, lane in ipairs(idle) do
    lane:stop()
  end
end

--- Ends the lanes that are free, and from now on every lane that is.
function LanePool.close()
  is_closed = true
  LanePool.stop()
end

--- How many there are, and how many of them carry something.
---@return { open: integer, busy: integer }
function LanePool.state() return { open = count, busy = count - #idle } end

return LanePool
