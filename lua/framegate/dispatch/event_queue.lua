-- The waiting events of this worker: some wait for a lane, others for the time of their retry.

local Queue = require "framegate.runtime.queue"

---@class EventQueue
local EventQueue = {}
EventQueue.__index = EventQueue

local BATCH_EVENTS = 512
local BATCH_BYTES = 1024 * 1024

-- Larger bodies come alone: to put them into JSON, and to read them from there, would cost more than a request.
local BATCHABLE_BYTES = 16 * 1024

---@param options { now: (fun(): number), takes_batches: boolean } `now`: a monotonic clock, in seconds;
---  `takes_batches`: whether the handler's protocol knows them
---@return EventQueue
function EventQueue.new(options)
  return setmetatable({
    now = options.now,
    takes_batches = options.takes_batches,
    singles = Queue.new(),
    batchables = Queue.new(),
    later = {},
  }, EventQueue)
end

local function queue_of(self, event)
  local is_batchable = self.takes_batches
    and event.connection.options.takes_batches
    and not event.handshake
    and not event.is_alone
    and #event.body <= BATCHABLE_BYTES
  return is_batchable and self.batchables or self.singles
end

--- Adds an event to those that wait for a lane.
---@param event Event
function EventQueue:add(event) queue_of(self, event):push(event) end

--- Puts an event back in front of all others.
---@param event Event
function EventQueue:put_back(event) queue_of(self, event):push_front(event) end

--- Keeps an event until it may be retried.
---@param event Event
---@param due number when it may be sent again, in seconds of the monotonic clock
function EventQueue:add_later(event, due)
  event.due = due
  self.later[#self.later + 1] = event
end

--- Moves events whose retry is due to those that wait for a lane.
function EventQueue:take_due()
  local time, later = self.now(), self.later
  for i = #later, 1, -1 do
    local event = later[i]
    if event.due <= time then
      later[i] = later[#later]
      later[#later] = nil
      self:add(event)
    end
  end
end

---@return boolean
function EventQueue:has_single() return self.singles:count() > 0 end

---@return boolean
function EventQueue:has_batch() return self.batchables:count() > 0 end

---@return Event?
function EventQueue:take_single() return self.singles:pop() end

---@return Event?
function EventQueue:take_any() return self.singles:pop() or self.batchables:pop() end

--- Takes batchable events, up to 512 of them or 1 MB of bodies. There must be one.
---@return Event[]
function EventQueue:take_batch()
  local batchables, events, bytes = self.batchables, {}, 0
  repeat
    local event = batchables:pop()
    events[#events + 1] = event
    bytes = bytes + #event.body
    local following = batchables:peek()
  until not following or #events >= BATCH_EVENTS or bytes + #following.body > BATCH_BYTES
  return events
end

--- Takes what goes over the next lane while an event waits that goes alone: that one, or a batch whose first event is older. So
--- neither kind keeps the lanes from the other.
---@param may_gather boolean whether batchable events go on waiting
---@return Event[] events
---@return boolean is_single
function EventQueue:take_next(may_gather)
  local single, batchable = self.singles:peek(), self.batchables:peek()
  if batchable and batchable.since < single.since and not may_gather then
    return self:take_batch(), false
  end
  return { self:take_single() }, true
end

local function expire(queue, is_over, give_up)
  for _ = 1, queue:count() do
    local event = queue:pop()
    if is_over(event) then
      give_up(event)
    else
      queue:push(event)
    end
  end
end

--- Removes events that have waited too long for a lane. The others keep their order.
---@param is_over fun(event: Event): boolean
---@param give_up fun(event: Event)
function EventQueue:expire(is_over, give_up)
  expire(self.singles, is_over, give_up)
  expire(self.batchables, is_over, give_up)
end

---@return integer events that wait for a lane
function EventQueue:for_lane() return self.singles:count() + self.batchables:count() end

---@return integer all events that wait
function EventQueue:count() return self:for_lane() + #self.later end

return EventQueue
