-- A socket whose worker is gone, and that is still owed its close event. Orphans wait in a queue of this worker.
-- Their close events go out at a bounded rate, and again until the handler has answered.

local Answer = require "framegate.dispatch.answer"
local Clock = require "framegate.runtime.clock"
local CloseEvent = require "framegate.socket.close_event"
local Lifecycle = require "framegate.telemetry.lifecycle"
local Queue = require "framegate.runtime.queue"
local Task = require "framegate.runtime.task"

---@class Orphan the part of a connection that its close event needs
---@field id string
---@field home string? id of the node that held it, when another one opened it
---@field seconds number how long it was open
---@field opened_at number by Clock.monotonic
---@field state string? percent-encoded
---@field path string
---@field handshake string
---@field closing Closing
---@field is_unnoted boolean? whether its end is in no log yet
---@field journal Journal|{ remove: fun(self, id: string), close: fun(self), is_in_redis: true? } where its record stands
---@field options Options
---@field patience number how long dispatch tries to reach a handler, in seconds; then this file tries again
local Orphan = { patience = 5 }
Orphan.__index = Orphan

local STEP_SECONDS = 0.05
local A_STEP = 23 -- over all workers: any second then has 500 at most
local MOST_IN_FLIGHT = 500
local FIRST_PAUSE, LAST_PAUSE = 1, 5 -- seconds between two attempts while no handler answers

local gateway = ngx.shared.gateway
local waiting, in_flight = Queue.new(), 0
local pause, resume_at = 0, 0
local is_stopped = false

-- Lets go of all journals, so that another worker can adopt them.
local function let_go()
  local orphan = waiting:pop()
  while orphan do
    orphan.journal:close()
    orphan = waiting:pop()
  end
end

-- While no handler answers, one close event at a time looks for it.
local function may_send()
  local now = Clock.monotonic()
  return in_flight < (pause > 0 and 1 or MOST_IN_FLIGHT)
    and now >= resume_at
    and gateway:incr("orphans:" .. math.floor(now / STEP_SECONDS), 1, 0, 1) <= A_STEP
end

local function send(orphan)
  in_flight = in_flight + 1
  if orphan.is_unnoted then
    orphan.is_unnoted = nil
    Lifecycle.killed(orphan)
  end
  CloseEvent.send(orphan, orphan.seconds)
end

local function send_all()
  while waiting:count() > 0 and not is_stopped do
    if may_send() then
      send(waiting:pop())
    else
      ngx.sleep(STEP_SECONDS)
    end
  end
end

local sending = Task.new("sending the close events of workers that are gone", send_all)

--- Puts an orphan into the queue.
---@param facts table the fields of an orphan
function Orphan.add(facts)
  facts.opened_at = Clock.monotonic() - facts.seconds
  waiting:push(setmetatable(facts, Orphan))
  sending:begin()
end

--- When its socket began, by Clock.monotonic.
---@return number
function Orphan:began_at() return self.opened_at end

--- Counts the orphans whose close event is not answered.
---@return integer
function Orphan.count() return waiting:count() + in_flight end

-- Counts a close event as ended.
local function ended()
  in_flight = in_flight - 1
  if is_stopped and in_flight == 0 then
    let_go()
  end
end

--- Accepts the result of the close event from dispatch.
---@param event Event
---@param answer Answer
function Orphan:answered(event, answer)
  if Answer.is_final(answer) then
    pause, resume_at = 0, 0
    CloseEvent.on_answered(event, answer)
  else
    pause = pause > 0 and math.min(2 * pause, LAST_PAUSE) or FIRST_PAUSE
    resume_at = Clock.monotonic() + pause
    waiting:push(self)
    sending:begin()
  end
  ended()
end

--- Notes that other nodes have sent the close event.
function Orphan.on_dropped() ended() end

--- Sends no more of them: this worker shuts down. What waits is left to other workers, or to the next start.
function Orphan.stop()
  is_stopped = true
  if in_flight == 0 then
    let_go()
  end
end

return Orphan
