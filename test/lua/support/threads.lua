-- Runs what the modules start with runtime/threads.lua and ngx.timer.at, as coroutines on the clock of support/ngx.lua: they
-- sleep until a spec lets time pass.

local Stub = require "support.ngx"
local Threads = require "framegate.runtime.threads"

local Fake = {}

local waiting = {}

local function add(run, ...)
  local arguments = { ... }
  waiting[#waiting + 1] = { thread = coroutine.create(function() run(unpack(arguments)) end), due = Stub.now }
end

--- Forgets all threads, and starts those of a spec from now on.
function Fake.reset()
  waiting = {}
  Threads.run = function(run, value) add(run, false, value) end
  rawset(ngx, "sleep", function(seconds) coroutine.yield(Stub.now + seconds) end)
  rawset(ngx, "timer", { at = function(_, run, ...) add(run, false, ...) end })
end

local function can_run(job, time) return job.due <= time or job.semaphore and job.semaphore.count > 0 end

local function take_next(deadline)
  local best
  for i, job in ipairs(waiting) do
    if can_run(job, Stub.now) then
      return table.remove(waiting, i)
    end
    if job.due <= deadline and (not best or job.due < waiting[best].due) then
      best = i
    end
  end
  return best and table.remove(waiting, best)
end

--- Lets time pass.
---@param seconds number 0 runs what can run now
function Fake.advance(seconds)
  local deadline = Stub.now + seconds
  while true do
    local job = take_next(deadline)
    if not job then
      break
    end
    Stub.now = math.max(Stub.now, math.min(job.due, deadline))
    local ok, due, semaphore = coroutine.resume(job.thread)
    assert(ok, due)
    if coroutine.status(job.thread) ~= "dead" then
      job.due, job.semaphore = due, semaphore
      waiting[#waiting + 1] = job
    end
  end
  Stub.now = deadline
end

return Fake
