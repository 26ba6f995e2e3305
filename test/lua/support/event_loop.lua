-- ngx_lua's light threads, timers, sleeps and semaphores for specs, on the clock of support/ngx.lua: when everybody waits, the
-- time goes on to the next who wakes. So a spec waits for nothing, and what takes seconds is over at once.

local Stub = require "support.ngx"

local Loop = {}

local ready, sleeping = {}, {}

local function wake(thread, value)
  for i, sleeper in ipairs(sleeping) do
    if sleeper.thread == thread then
      table.remove(sleeping, i)
      break
    end
  end
  ready[#ready + 1] = { thread = thread, value = value }
end

-- Waits until somebody wakes this thread, or the time has come.
local function wait(seconds)
  local thread = coroutine.running()
  sleeping[#sleeping + 1] = { thread = thread, due = Stub.now + seconds }
  return coroutine.yield()
end

--- Runs a function in a thread of its own, as soon as others wait.
---@param run fun(...)
function Loop.spawn(run, ...)
  local arguments = { ... }
  ready[#ready + 1] = { thread = coroutine.create(function() run(unpack(arguments)) end) }
end

local function take_ready()
  local entry = table.remove(ready, 1)
  if not entry then
    return false
  end
  local ok, err = coroutine.resume(entry.thread, entry.value)
  if not ok then
    error(debug.traceback(entry.thread, err), 0)
  end
  return true
end

local function next_sleeper()
  local first
  for i, sleeper in ipairs(sleeping) do
    if not first or sleeper.due < sleeping[first].due then
      first = i
    end
  end
  return first
end

--- Runs until nobody is left, or only those who wait for longer.
---@param seconds number
function Loop.run(seconds)
  local last = Stub.now + seconds
  while true do
    if not take_ready() then
      local first = next_sleeper()
      if not first or sleeping[first].due > last then
        Stub.now = last
        return
      end
      local sleeper = table.remove(sleeping, first)
      Stub.now = sleeper.due
      ready[1] = { thread = sleeper.thread, value = false }
    end
  end
end

--- Forgets all threads of the spec before.
function Loop.reset()
  ready, sleeping = {}, {}
end

local Semaphore = {}
Semaphore.__index = Semaphore

function Semaphore:post()
  local thread = table.remove(self.waiting, 1)
  if thread then
    return wake(thread, true)
  end
  self.resources = self.resources + 1
end

function Semaphore:wait(seconds)
  if self.resources > 0 then
    self.resources = self.resources - 1
    return true
  end
  local thread = coroutine.running()
  self.waiting[#self.waiting + 1] = thread
  if wait(seconds) then
    return true
  end
  for i, other in ipairs(self.waiting) do
    if other == thread then
      table.remove(self.waiting, i)
    end
  end
  return nil, "timeout"
end

function Semaphore:count() return #self.waiting > 0 and -#self.waiting or self.resources end

function Semaphore.new(resources) return setmetatable({ resources = resources or 0, waiting = {} }, Semaphore) end

package.loaded["ngx.semaphore"] = Semaphore

rawset(ngx, "thread", { spawn = Loop.spawn })
rawset(ngx, "sleep", function(seconds) wait(seconds) end)
rawset(ngx, "timer", {
  at = function(seconds, run, ...)
    local arguments = { ... }
    Loop.spawn(function()
      if seconds > 0 then
        wait(seconds)
      end
      run(false, unpack(arguments))
    end)
    return true
  end,
})

-- Tasks run in threads of the spec.
package.loaded["framegate.runtime.threads"] = {
  run = function(run, value) Loop.spawn(run, false, value) end,
}

return Loop
