-- The lanes of this worker, and whether they are busy. A request is recent until twice the typical response time has passed:
-- the handler may well be busy with it, and one lane is enough, since the fewer there are, the more events travel together.
-- For as long again FRESH_LANES of them are enough. A lane whose answers have begun to come, or whose request is older, does
-- not count: the handler is slow, not busy, and another lane is opened beside it, up to HANDLER_CONCURRENCY.

---@class LanePool
local LanePool = {}
LanePool.__index = LanePool

local FRESH_LANES = 2
local RECENT_TIMES = 2
local RECENT_MIN, RECENT_MAX = 0.002, 0.005
local SAMPLES = 16 -- requests that the typical time is made of, about

---@param options { capacity: integer, open_lane: (fun(): Lane), now: fun(): number } how many lanes there may be; makes a
---  lane and starts it; a monotonic clock, in seconds
---@return LanePool
function LanePool.new(options)
  return setmetatable({
    capacity = options.capacity,
    open_lane = options.open_lane,
    now = options.now,
    typical = RECENT_MAX, -- seconds until the first answer to a request
    idle = {},
    fresh = {}, -- lanes that carry something, and perhaps have for too long
    count = 0,
    is_closed = false,
  }, LanePool)
end

--- For how long a request is recent.
---@return number seconds
function LanePool:recent_seconds() return math.max(RECENT_MIN, math.min(self.typical * RECENT_TIMES, RECENT_MAX)) end

--- Whether events that may travel together should gather.
---@return boolean
function LanePool:are_busy()
  local time, number, recent, fresh = self.now(), 0, self:recent_seconds(), self.fresh
  for lane in pairs(fresh) do
    local age = lane.started and not lane.has_answered and time - lane.started
    if age and age < recent then
      return true
    elseif age and age <= 2 * recent then
      number = number + 1
    else
      fresh[lane] = nil
    end
  end
  return number >= FRESH_LANES
end

--- A lane that is free, or a new one.
---@return Lane? lane nil when there are as many as there may be
function LanePool:take()
  local lane = table.remove(self.idle)
  if lane then
    return lane
  end
  if self.count >= self.capacity then
    return nil
  end
  self.count = self.count + 1
  return self.open_lane()
end

---@param lane Lane
---@param events Event[]
function LanePool:carry(lane, events)
  self.fresh[lane] = true
  lane:carry(events)
end

---@param lane Lane has nothing to do
function LanePool:free(lane)
  if lane.took then
    self.typical = self.typical + (math.min(lane.took, RECENT_MAX) - self.typical) / SAMPLES
  end
  self.idle[#self.idle + 1] = lane
  if self.is_closed then
    lane:stop()
  end
end

---@param lane Lane has ended
function LanePool:retire(lane)
  self.count = self.count - 1
  lane.started, self.fresh[lane] = nil, nil
  for i, other in ipairs(self.idle) do
    if other == lane then
      table.remove(self.idle, i)
    end
  end
end

--- Ends the lanes that are free.
function LanePool:stop()
  for _, lane in ipairs(self.idle) do
    lane:stop()
  end
end

--- Ends the lanes that are free, and from now on every lane that is.
function LanePool:close()
  self.is_closed = true
  self:stop()
end

--- How many there are, and how many of them carry something.
---@return { open: integer, busy: integer }
function LanePool:state() return { open = self.count, busy = self.count - #self.idle } end

return LanePool
