-- The lanes of this worker, and whether they are busy. A lane is fresh while its request is younger than FRESH_SECONDS;
-- FRESH_LANES of them are as much as a handler needs to be busy. A lane whose request is older does not count: the
-- handler is slow, not busy, and another lane is opened beside it, up to HANDLER_CONCURRENCY.

local Config = require "framegate.config"
local Lane = require "framegate.lane"

local Lanes = {}

local FRESH_LANES = 2
local FRESH_SECONDS = 0.010
Lanes.FRESH_SECONDS = FRESH_SECONDS

local idle = {}
local fresh = {}      -- lanes that carry something, and perhaps have for too long
local count = 0

--- Whether events that may travel together should gather.
---@return boolean
function Lanes.are_busy()
  local limit, number = ngx.now() - FRESH_SECONDS, 0
  for lane in pairs(fresh) do
    if not lane.started or lane.started < limit then
      fresh[lane] = nil
    else
      number = number + 1
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
  if count >= Config.HANDLER_CONCURRENCY then
    return nil
  end
  lane = Lane.new(dispatch)
  local ok, err = lane:start()
  if not ok then
    ngx.log(ngx.ERR, "[gateway] could not open a lane to the handler: ", err)
    return nil
  end
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
