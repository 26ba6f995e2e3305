-- Starts threads that belong to nobody's request. A timer of ngx_lua takes on the settings of the location in which it
-- was started: a lane that a socket started would read with the socket's small lua_socket_buffer_size. What is started
-- here has the settings of http {}.
--
-- A timer takes one of nginx's connections when it fires. With none left the timer never fires and reports nothing, so we
-- check that every thread really started. The thread of this file has had its connection since the worker began.

local semaphore = require "ngx.semaphore"
local Clock = require "framegate.runtime.clock"
local Log = require "framegate.runtime.log"

local Threads = {}

local WAIT_SECONDS = 3600
local LATE_SECONDS = 2 -- a timer without delay runs in the next turn of the event loop

local jobs = {}
local starting = {} -- those that have not been seen to begin, oldest first
local arrival
local is_stopped = false

local begin = Log.caught("a thread", function(premature, job)
  if not job.is_over then
    job.is_over = true
    return job.run(premature, job.value)
  end
end)

local function start(job)
  local ok, err = ngx.timer.at(0, begin, job)
  job.due, job.err = Clock.monotonic() + LATE_SECONDS, not ok and err or "nginx had no connection for its timer"
  starting[#starting + 1] = job
end

local function start_all()
  local due = jobs
  jobs = {}
  for _, job in ipairs(due) do
    start(job)
  end
end

local function give_up(job)
  job.is_over = true
  local ok, err = xpcall(job.fail, debug.traceback, job.value, job.err)
  if not ok then
    Log.error(nil, "a thread could not be started, and reporting that failed: ", err)
  end
end

local function look_after()
  local still = {}
  for _, job in ipairs(starting) do
    if not job.is_over and Clock.monotonic() < job.due then
      still[#still + 1] = job
    elseif not job.is_over then
      give_up(job)
    end
  end
  starting = still
end

local function loop(premature)
  while not premature and not is_stopped do
    arrival:wait(starting[1] and LATE_SECONDS or WAIT_SECONDS)
    look_after()
    start_all()
  end
end

--- Begins, in a worker.
function Threads.start()
  arrival = semaphore.new()
  ngx.timer.at(0, Log.caught("starting threads", loop))
end

--- Has `run(premature, value)` called in a thread of its own, soon. Works in a worker that is shutting down, too.
---@param run fun(premature: boolean, value: any)
---@param value any
---@param fail fun(value: any, err: string) called instead when the thread has not begun some seconds later
function Threads.run(run, value, fail)
  local job = { run = run, value = value, fail = fail }
  if is_stopped then
    return start(job)
  end
  jobs[#jobs + 1] = job
  if #jobs == 1 then
    arrival:post()
  end
end

--- Ends the thread that starts the others: it would keep a worker alive that is shutting down.
function Threads.stop()
  is_stopped = true
  arrival:post()
end

return Threads
