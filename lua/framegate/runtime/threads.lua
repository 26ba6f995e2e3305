-- Starts threads outside of requests, and checks that they really begin.
-- A timer of ngx_lua inherits the settings of the location that starts it. A lane that a socket started would use the
-- socket's small lua_socket_buffer_size. Threads that start here have the settings of http {}.
--
-- A timer needs one of nginx's connections when it fires. If none is left, it never fires and reports nothing.
-- The thread of this file has had its connection since the worker began.

local semaphore = require "ngx.semaphore"
local Clock = require "framegate.runtime.clock"
local Log = require "framegate.runtime.log"

local Threads = {}

local WAIT_SECONDS = 3600
local LATE_SECONDS = 2 -- a timer without delay runs in the next turn of the event loop

local jobs = {}
local starting = {} -- jobs that have not begun yet, oldest first
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

local function check_started()
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
    check_started()
    start_all()
  end
end

--- Starts the thread that starts others. Runs in each worker.
function Threads.start()
  arrival = semaphore.new()
  ngx.timer.at(0, Log.caught("starting threads", loop))
end

--- Calls `run(premature, value)` soon, in a thread of its own. Does not yield. Also works in a worker that shuts down.
---@param run fun(premature: boolean, value: any)
---@param value any
---@param fail fun(value: any, err: string) called instead if the thread has not begun after 2 s
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

--- Ends the thread that starts others, which would keep alive a worker that is shutting down.
function Threads.stop()
  is_stopped = true
  arrival:post()
end

return Threads
