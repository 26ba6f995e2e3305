-- Takes events of all sockets of this worker to the handler, over lanes (lane.lua). An event takes a free lane at once. While lanes
-- are busy, events that may travel in a batch gather, and the next lane that is free takes all of them in one request:
-- lanes.lua says when that is.
-- While no handler can be reached, one lane tries and everything else waits, up to HANDLER_WAIT.

local Answer = require "framegate.dispatch.answer"
local Config = require "framegate.config"
local Log = require "framegate.runtime.log"
local Task = require "framegate.runtime.task"
local LanePool = require "framegate.dispatch.lane_pool"
local EventMetrics = require "framegate.telemetry.event_metrics"
local EventQueue = require "framegate.dispatch.event_queue"

local now = ngx.now

---@class Dispatch
---@field on_idle fun() called whenever no event is in flight and none waits; worker/shutdown.lua sets it
local Dispatch = { on_idle = function() end }

local members

--- Gives this module the instances of its worker.
---@param worker Worker
function Dispatch.wire(worker) members = worker.members end

local PROBE_SECONDS = 0.1
local CLOSE_SECONDS = 300
local MAX_WAITING_CLOSES = 10000

local outstanding = 0 -- events that were submitted and have not ended
local closes = 0 -- close events that are not delivered yet
local is_away = false -- no handler could be reached when last tried
local is_probing = false

local function send(lane, events)
  for _, event in ipairs(events) do
    event.attempts, event.is_answered = event.attempts + 1, false
  end
  EventMetrics.sent(#events)
  LanePool.carry(lane, events)
end

local function probe()
  if is_probing or EventQueue.for_lane() == 0 then
    return
  end
  local lane = LanePool.take(Dispatch)
  if lane then
    is_probing = true
    send(lane, { EventQueue.take_any() })
  end
end

local pace -- an errand

local function pump()
  if is_away then
    return pace:begin()
  end
  while EventQueue.has_single() do
    local lane = LanePool.take(Dispatch)
    if not lane then
      return pace:begin()
    end
    send(lane, { EventQueue.take_single() })
  end
  while EventQueue.has_batch() do
    local lane = not LanePool.are_busy() and LanePool.take(Dispatch)
    if not lane then
      return pace:begin()
    end
    send(lane, EventQueue.take_batch())
  end
end

local function has_waited_long(event)
  return now() - event.since > (event.kind == "close" and CLOSE_SECONDS or Config.HANDLER_WAIT)
end

local function give_up_waiting(event) Dispatch.give_up(event, Answer.failed("unavailable")) end

-- Runs while something waits: opens lanes beside slow ones, tries again, gives up.
pace = Task.new("the dispatch of events", function()
  while EventQueue.count() > 0 do
    if is_away then
      ngx.sleep(PROBE_SECONDS)
      EventQueue.expire(has_waited_long, give_up_waiting)
      EventQueue.take_due()
      probe()
    else
      ngx.sleep(LanePool.young_seconds())
      EventQueue.take_due()
      pump()
    end
  end
  Dispatch.check_idle()
end)

--- Takes an event to the handler. `event.connection:answered(event, answer)` is called once, from a lane.
---@param event Event
function Dispatch.submit(event)
  event.since = now()
  outstanding = outstanding + 1
  if event.kind == "close" then
    closes = closes + 1
    if is_away and closes > MAX_WAITING_CLOSES then
      return Dispatch.give_up(event, Answer.failed("unavailable"))
    end
  end
  EventQueue.add(event)
  pump()
end

-- A defect in what one answer does must not cost the lane, and with it the answers of others.
local function hand_over(event, answer)
  EventMetrics.ended(event, answer)
  if event.kind ~= "open" then
    outstanding = outstanding - 1
  end
  local ok, err = xpcall(event.connection.answered, debug.traceback, event.connection, event, answer)
  if not ok then
    Log.error(event.id, "carrying out the answer failed: ", err)
  end
end

--- An event ends without an answer.
function Dispatch.give_up(event, answer)
  local log = Log.warn
  if event.kind == "close" then
    closes = closes - 1
    log = Log.error
  end
  log(event.id, "the ", event.kind, " event has no answer: ", answer.error.message)
  hand_over(event, answer)
end

local function try_again(event, answer)
  local backoff = event.attempts <= 1 and 0 or math.min(0.05 * 2 ^ (event.attempts - 2), 0.5)
  local patience = event.kind == "close" and CLOSE_SECONDS or Config.HANDLER_WAIT
  EventQueue.add_later(event, math.min(now() + math.max(backoff, answer.retry_after or 0), event.since + patience))
  pace:begin()
end

local function may_try_again(event, failure)
  if event.kind == "close" then
    return closes <= MAX_WAITING_CLOSES and now() - event.since <= CLOSE_SECONDS
  end
  return (failure == "unavailable" or failure == "closing") and now() - event.since <= Config.HANDLER_WAIT
end

local function set_away(away, event)
  is_probing = false
  if away == is_away then
    return
  end
  is_away = away
  if away then
    Log.warn(
      event.id,
      "no handler can be reached at ",
      table.concat(Config.HANDLER_URL, ", "),
      ": events wait up to ",
      Config.HANDLER_WAIT,
      " s"
    )
  else
    Log.warn(event.id, "a handler answers again")
  end
end

--- A lane says what became of an event.
---@param event Event
---@param answer Answer
function Dispatch.answered(event, answer)
  local failure = answer.failure
  event.is_answered = true
  set_away(failure == "unavailable", event)
  if not failure or failure == "refused" or failure == "malformed" then
    if event.kind == "close" then
      closes = closes - 1
    end
    return hand_over(event, answer)
  end
  if not may_try_again(event, failure) then
    return Dispatch.give_up(event, answer)
  end
  EventMetrics.retried(failure)
  if failure == "unavailable" then
    EventQueue.put_back(event)
    return pace:begin()
  end
  try_again(event, answer)
end

--- A lane met a handler that takes no batches: the event goes alone, and so do all that follow on its socket.
---@param event Event
function Dispatch.unbatch(event)
  event.connection.takes_batches = false
  EventQueue.add(event)
  pump()
end

--- Calls `Dispatch.on_idle` if no event is in flight and none waits.
function Dispatch.check_idle()
  if outstanding == 0 and EventQueue.count() == 0 then
    Dispatch.on_idle()
  end
end

--- The answer to an open was taken. The caller registers the connection, or refuses it, before anything else runs.
function Dispatch.opened()
  outstanding = outstanding - 1
  if members:is_leaving() then
    ngx.timer.at(0, Dispatch.check_idle)
  end
end

--- A lane is free.
---@param lane Lane
function Dispatch.free(lane)
  LanePool.free(lane)
  pump()
  Dispatch.check_idle()
end

--- A lane has ended.
---@param lane Lane
function Dispatch.retire(lane)
  LanePool.retire(lane)
  pump()
  Dispatch.check_idle()
end

return Dispatch
