-- Events of this worker that wait: for a lane, or for their time to be tried again.

local Queue = require "framegate.runtime.queue"

local EventQueue = {}

local BATCH_EVENTS = 512
local BATCH_BYTES = 1024 * 1024

local singles, batchables = Queue.new(), Queue.new()
local later = {}

local function queue_of(event) return event.connection.takes_batches and batchables or singles end

---@param event Event
function EventQueue.add(event) queue_of(event):push(event) end

--- Puts an event where it is taken next.
---@param event Event
function EventQueue.put_back(event) queue_of(event):push_front(event) end

---@param event Event
---@param due number when it may be tried again, in seconds as ngx.now has them
function EventQueue.add_later(event, due)
  event.due = due
  later[#later + 1] = event
end

--- Lets those wait for a lane whose time has come.
function EventQueue.take_due()
  local time = ngx.now()
  for i = #later, 1, -1 do
    local event = later[i]
    if event.due <= time then
      later[i] = later[#later]
      later[#later] = nil
      EventQueue.add(event)
    end
  end
end

---@return boolean
function EventQueue.has_single() return singles:count() > 0 end

---@return boolean
function EventQueue.has_batch() return batchables:count() > 0 end

---@return Event?
function EventQueue.take_single() return singles:pop() end

---@return Event?
function EventQueue.take_any() return singles:pop() or batchables:pop() end

--- All that wait and may travel together, up to what one request should hold.
---@return Event[]
function EventQueue.take_batch()
  local events, bytes = {}, 0
  repeat
    local event = batchables:pop()
    events[#events + 1] = event
    bytes = bytes + #event.body
    local following = batchables:peek()
  until not following or #events >= BATCH_EVENTS or bytes + #following.body > BATCH_BYTES
  return events
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

--- Takes out what has waited too long for a lane; the others keep their order.
---@param is_over fun(event: Event): boolean
---@param give_up fun(event: Event)
function EventQueue.expire(is_over, give_up)
  expire(singles, is_over, give_up)
  expire(batchables, is_over, give_up)
end

---@return integer events that wait for a lane
function EventQueue.for_lane() return singles:count() + batchables:count() end

---@return integer all events that wait
function EventQueue.count() return EventQueue.for_lane() + #later end

return EventQueue
