-- Timers: requests that the gateway makes of itself, at times of the clock. Every worker of the newest configuration waits for
-- each time, and the one that claims it sends the event. So a worker that was killed costs no more than what it had claimed.

local Apply = require "framegate.socket.apply"
local Config = require "framegate.config"
local Event = require "framegate.dispatch.event"
local Log = require "framegate.runtime.log"
local Options = require "framegate.socket.options"
local Slots = require "framegate.cluster.slots"
local Task = require "framegate.runtime.task"
local TraceContext = require "framegate.telemetry.trace_context"
local semaphore = require "ngx.semaphore"

---@class Timer the part of a connection that its event needs
---@field path string
---@field period integer milliseconds
---@field handshake string header lines
---@field source string
---@field options Options
---@field patience number how long dispatch tries to reach a handler, in seconds
---@field stopped table semaphore
local Timer = { handshake = "host: framegate\r\n", options = Options.NONE }
Timer.__index = Timer

local Timers = {}

local LATEST_MS = 5000 -- after its beginning a slot can be claimed: by the next worker, or over a new link to Redis
local LONGEST_SECONDS = 60 -- of a wait, because the clock may be set
local RETRY_SECONDS = 0.5 -- while Redis is away

local members, holders, bus, dispatch
local timers = {}
local has_stopped = false

--- Gives this module the instances of its worker.
---@param worker Worker
function Timers.wire(worker)
  members, holders, bus, dispatch = worker.members, worker.holders, worker.bus, worker.dispatch
end

--- Accepts the result of the event from dispatch.
---@param event Event
---@param answer Answer
function Timer:answered(event, answer)
  if not answer.failure and answer.status >= 400 then
    Log.limited(
      Log.warn,
      "timer" .. self.path,
      TraceContext.label(event),
      "the handler answered ",
      answer.status,
      " to a timer"
    )
  end
  Apply.publications(event, answer)
end

-- Nothing before the start of the gateway is made up.
local function latest() return math.floor(math.min(LATEST_MS, members:uptime() * 1000)) end

local function claim(timer)
  local request = { name = timer.path, period = timer.period, latest = latest() }
  if not holders:is_clustered() then
    ngx.update_time()
    return Slots.claim_here(ngx.shared.gateway, request, math.floor(ngx.now() * 1000 + 0.5))
  end
  local holder = holders:current()
  return holder and bus:call(holder, "claim_slot", request)
end

-- Returns the seconds until the next time.
local function try(timer)
  local slot = claim(timer)
  if not slot then
    return RETRY_SECONDS
  end
  if slot.is_claimed then
    dispatch:submit(Event.timer(timer, slot.slot))
  end
  return math.max(slot.slot + timer.period - slot.now, 1) / 1000
end

-- Whether this worker leaves the timers to others.
local function is_over() return has_stopped or members:is_leaving() or not members:is_last_configuration() end

local function run(timer)
  while not is_over() do
    local ok, seconds = xpcall(try, debug.traceback, timer)
    if not ok then
      Log.error(nil, "the timer ", timer.path, " failed: ", seconds)
      seconds = RETRY_SECONDS
    end
    timer.stopped:wait(math.min(seconds, LONGEST_SECONDS))
  end
end

--- Begins to wait for the times of TIMERS.
function Timers.start()
  for i, facts in ipairs(Config.TIMERS) do
    local timer = setmetatable({
      path = facts.path,
      period = facts.period,
      source = "/framegate/" .. Config.CLUSTER_NAME .. "/timers",
      patience = math.min(Config.HANDLER_WAIT, facts.period / 1000),
      stopped = semaphore.new(),
    }, Timer)
    timers[i] = timer
    Task.new("the timer " .. timer.path, function() run(timer) end):begin()
  end
end

--- Ends the threads that wait, which would keep alive a worker that is shutting down.
function Timers.stop()
  has_stopped = true
  for _, timer in ipairs(timers) do
    timer.stopped:post()
  end
end

return Timers
