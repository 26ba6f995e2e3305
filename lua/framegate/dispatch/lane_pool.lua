-- The lanes of this worker. The pool decides whether they are busy, so that events should gather in a batch.
-- A request is recent until twice the typical response time has passed. Its handler is probably busy with it.
-- One recent request makes the pool busy: the fewer lanes there are, the more events travel together.
-- For the same time again, FRESH_LANES requests make the pool busy.
-- An older request, or one whose answers are coming, does not count: its handler is slow, not busy. Neither does one with an
-- event that may not travel in a batch: where many of those follow each other, batches would gather without end.
-- Another lane is opened beside it, up to HANDLER_CONCURRENCY.
-- A lane whose answer streams counts among those no more, but among STREAM_CONCURRENCY: streams do not hold up other events.

---@class LanePool
local LanePool = {}
LanePool.__index = LanePool

local FRESH_LANES = 2
local RECENT_TIMES = 2
local RECENT_MIN, RECENT_MAX = 0.002, 0.005
local SAMPLES = 16 -- the typical time is a moving average over about this many requests

---@param options { capacity: integer, streams: integer, open_lane: (fun(): Lane), now: fun(): number } `capacity`: maximum of
---  lanes; `streams`: maximum of those with a stream, which do not count among them; `open_lane` makes and starts a lane;
---  `now` is a monotonic clock, in seconds
---@return LanePool
function LanePool.new(options)
  return setmetatable({
    capacity = options.capacity,
    stream_capacity = options.streams,
    open_lane = options.open_lane,
    now = options.now,
    typical = RECENT_MAX, -- seconds until the first answer to a request
    idle = {},
    fresh = {}, -- lanes that carry events; those with an old request are removed later
    count = 0,
    streams = 0,
    is_closed = false,
  }, LanePool)
end

--- How long a request is recent.
---@return number seconds
function LanePool:recent_seconds() return math.max(RECENT_MIN, math.min(self.typical * RECENT_TIMES, RECENT_MAX)) end

--- Whether batchable events should gather.
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

--- Takes a free lane, or opens a new one.
---@return Lane? lane nil when all are in use and no more may be opened
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

--- Gives events to a lane that was taken.
---@param lane Lane
---@param events Event[]
---@param is_single boolean? whether they are one event that may not travel in a batch
function LanePool:carry(lane, events, is_single)
  self.fresh[lane] = not is_single or nil
  lane:carry(events)
end

--- Counts a lane as one with a stream, if there may be another. It ends after that.
---@param lane Lane
---@return boolean
function LanePool:begin_stream(lane)
  if self.streams >= self.stream_capacity then
    return false
  end
  self.streams, self.count = self.streams + 1, self.count - 1
  lane.is_stream, self.fresh[lane] = true, nil
  return true
end

--- Takes back a lane that has nothing to do.
---@param lane Lane
function LanePool:free(lane)
  if lane.took then
    self.typical = self.typical + (math.min(lane.took, RECENT_MAX) - self.typical) / SAMPLES
  end
  self.idle[#self.idle + 1] = lane
  if self.is_closed then
    lane:stop()
  end
end

--- Removes a lane that has ended.
---@param lane Lane
function LanePool:retire(lane)
  if lane.is_stream then
    self.streams = self.streams - 1
  else
    self.count = self.count - 1
  end
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

--- Ends the lanes that are free, and from now on every lane that becomes free.
function LanePool:close()
  self.is_closed = true
  self:stop()
end

--- How many lanes there are, how many of them carry events, and how many others carry a stream.
---@return { open: integer, busy: integer, streams: integer }
function LanePool:state() return { open = self.count, busy = self.count - #self.idle, streams = self.streams } end

return LanePool
