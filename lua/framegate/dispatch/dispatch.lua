-- Sends the events of this worker's sockets to one handler, over lanes (lane.lua).
-- An event goes out immediately when a lane is free. While lanes are busy (lane_pool.lua decides), batchable events
-- gather. The next free lane then carries all of them in one request.
-- While no handler can be reached, one lane keeps trying and all other events wait, up to HANDLER_WAIT.

local Answer = require "framegate.dispatch.answer"
local Clock = require "framegate.runtime.clock"
local EventMetrics = require "framegate.telemetry.event_metrics"
local Log = require "framegate.runtime.log"
local Patience = require "framegate.dispatch.patience"
local Task = require "framegate.runtime.task"
local TraceContext = require "framegate.telemetry.trace_context"

local now, label = Clock.monotonic, TraceContext.label

---@class Dispatch
---@field private gathers_at number? time of the event loop at which events gathered, if no lane has become free since
local Dispatch = {}
Dispatch.__index = Dispatch

local PROBE_SECONDS, MAX_WAITING_CLOSES = 0.1, 10000
---@param options { lanes: LanePool, queue: EventQueue, on_idle: fun(), is_leaving: (fun(): boolean), config: table,
---  urls: string, on_ended: fun(event: Event, answer: Answer) } `on_idle`: no event is in flight, and none waits; `urls`: for the log
---@return Dispatch
function Dispatch.new(options)
  local self = setmetatable({
    lanes = options.lanes,
    queue = options.queue,
    on_idle = options.on_idle,
    is_leaving = options.is_leaving,
    config = options.config,
    urls = options.urls,
    on_ended = options.on_ended,
    outstanding = 0, -- events that were submitted and have not ended
    closes = 0, -- close events that are not delivered yet
    is_away = false, -- no handler could be reached at the last attempt
  }, Dispatch)
  self.pace = Task.new("the dispatch of events", function() self:work() end)
  return self
end

local function send(self, lane, events, is_single)
  for _, event in ipairs(events) do
    event.attempts, event.is_answered = event.attempts + 1, false
  end
  EventMetrics.sent(#events)
  self.lanes:carry(lane, events, is_single)
end

local function probe(self)
  if self.is_probing or self.queue:for_lane() == 0 then
    return
  end
  local lane = self.lanes:take()
  if lane then
    self.is_probing = true
    send(self, lane, { self.queue:take_any() })
  end
end

local function pump(self)
  local lanes, queue = self.lanes, self.queue
  self.gathers_at = nil
  if self.is_away then
    return self.pace:begin()
  end
  while queue:has_single() do
    local lane = lanes:take()
    if not lane then
      return self.pace:begin()
    end
    send(self, lane, queue:take_next(lanes:are_busy()))
  end
  while queue:has_batch() do
    local lane = not lanes:are_busy() and lanes:take()
    if not lane then
      self.gathers_at = Clock.loop_time()
      return self.pace:begin()
    end
    send(self, lane, queue:take_batch())
  end
end

local function expire(self)
  self.queue:expire(
    function(event) return Patience.is_over(event, self.config.HANDLER_WAIT) end,
    function(event) self:give_up(event, Answer.failed("unavailable")) end
  )
end

--- Works while events wait: opens lanes beside slow ones, retries, gives up. Yields.
function Dispatch:work()
  local queue = self.queue
  while queue:count() > 0 do
    if self.is_away then
      ngx.sleep(PROBE_SECONDS)
      queue:take_due()
      probe(self) -- before its time may be over: without a try, nobody would notice a handler that is back
      expire(self)
    else
      ngx.sleep(self.lanes:recent_seconds())
      queue:take_due()
      pump(self)
    end
  end
  self:check_idle()
end

--- Sends an event to the handler. Does not yield. A lane calls `event.connection:answered(event, answer)` once.
---@param event Event
function Dispatch:submit(event)
  event.since = now()
  self.outstanding = self.outstanding + 1
  if event.kind == "close" then
    self.closes = self.closes + 1
    if self.is_away and self.closes > MAX_WAITING_CLOSES then
      return self:give_up(event, Answer.failed("unavailable"))
    end
  end
  self.queue:add(event)
  if self.gathers_at ~= Clock.loop_time() or self.queue:has_single() then
    pump(self)
  end
end

-- Passes an answer to its socket. An error there must not end the lane, which may hold other answers.
local function deliver(self, event, answer)
  self.on_ended(event, answer)
  if event.kind ~= "open" then
    self.outstanding = self.outstanding - 1
  end
  local ok, err = xpcall(event.connection.answered, debug.traceback, event.connection, event, answer)
  if not ok then
    Log.error(label(event), "applying the answer failed: ", err)
  end
end

--- Ends an event that got no answer from a handler.
---@param event Event
---@param answer Answer with the failure
function Dispatch:give_up(event, answer)
  local message, is_close = answer.error.message, event.kind == "close"
  self.closes = self.closes - (is_close and 1 or 0)
  if is_close and not event.connection.patience then
    Log.error(label(event), "the close event has no answer: ", message)
  elseif not is_close then
    Log.limited(Log.warn, "no answer", label(event), "the ", event.kind, " event has no answer: ", message)
  end
  deliver(self, event, answer)
end

local function may_try_again(self, event, failure)
  local may = Patience.allows(event, failure, self.config.HANDLER_WAIT)
  return may and (event.kind ~= "close" or self.closes <= MAX_WAITING_CLOSES)
end

local function set_away(self, away, event)
  local has_changed = away ~= self.is_away
  self.is_probing, self.is_away = false, away
  if has_changed and away then
    local urls, wait = self.urls, self.config.HANDLER_WAIT
    Log.warn(label(event), "no handler can be reached at ", urls, ": events wait up to ", wait, " s")
  elseif has_changed then
    Log.warn(label(event), "a handler answers again")
  end
end

--- Handles the outcome of an event: delivers the answer, retries, or gives up. Called by lanes.
---@param event Event
---@param answer Answer
function Dispatch:answered(event, answer)
  local failure = answer.failure
  event.is_answered, self.gathers_at = true, nil
  set_away(self, failure == "unavailable", event)
  if Answer.is_final(answer) then
    if failure then
      Log.warn(label(event), answer.error.message)
    end
    if event.kind == "close" then
      self.closes = self.closes - 1
    end
    return deliver(self, event, answer)
  end
  if not may_try_again(self, event, failure) then
    return self:give_up(event, answer)
  end
  EventMetrics.retried(failure)
  if failure == "unavailable" then
    self.queue:put_back(event)
  else
    self.queue:add_later(event, Patience.due(event, answer, self.config.HANDLER_WAIT))
  end
  self.pace:begin()
end

--- Sends an event again, under the same id: its handler has not processed it. Called by a lane.
---@param event Event
function Dispatch:again(event)
  event.is_answered = true
  self.queue:add(event)
  pump(self)
end

--- Accepts that the answer to an event begins to stream. The lane is no longer one of those that carry other events.
---@param lane Lane
---@param event Event which is in flight until the stream ends
---@return boolean ok false when there are STREAM_CONCURRENCY streams
function Dispatch:begin_stream(lane, event)
  set_away(self, false, event)
  local has_room = self.lanes:begin_stream(lane)
  pump(self)
  return has_room
end

--- Whether no event is in flight and none waits.
---@return boolean
function Dispatch:is_idle() return self.outstanding == 0 and self.queue:count() == 0 end

--- Calls `on_idle` if no event is in flight and none waits.
function Dispatch:check_idle()
  if self:is_idle() then
    self.on_idle()
  end
end

--- Counts an open event as ended. The caller registers the connection, or refuses it, before anything else runs.
function Dispatch:opened()
  self.outstanding = self.outstanding - 1
  if self.is_leaving() then
    ngx.timer.at(0, Log.caught("the end of a worker", function() self:check_idle() end))
  end
end

--- Takes back a lane that is free.
---@param lane Lane
function Dispatch:free(lane)
  self.lanes:free(lane)
  pump(self)
  self:check_idle()
end

--- Removes a lane that has ended.
---@param lane Lane
function Dispatch:retire(lane)
  self.lanes:retire(lane)
  pump(self)
  self:check_idle()
end

return Dispatch
