-- Starts threads that belong to nobody's request. A timer of ngx_lua takes on the settings of the location in which it
-- was started: a lane that a socket started would read with the socket's small lua_socket_buffer_size. What is started
-- here has the settings of http {}.

local semaphore = require "ngx.semaphore"

local Background = {}

local WAIT_SECONDS = 3600

local jobs = {}
local arrival
local is_stopped = false

local function start_all()
  local due = jobs
  jobs = {}
  for _, job in ipairs(due) do
    local ok, err = ngx.timer.at(0, job.run, job.value)
    if not ok then
      job.fail(job.value, err)
    end
  end
end

local function loop(premature)
  while not premature and not is_stopped do
    arrival:wait(WAIT_SECONDS)
    start_all()
  end
end

--- Begins, in a worker.
function Background.start()
  arrival = semaphore.new()
  ngx.timer.at(0, loop)
end

--- Has `run(premature, value)` called in a thread of its own, soon. Works in a worker that is going away, too.
---@param run fun(premature: boolean, value: any)
---@param value any
---@param fail fun(value: any, err: string) called instead when the thread cannot be started: err of ngx.timer.at
function Background.run(run, value, fail)
  jobs[#jobs + 1] = { run = run, value = value, fail = fail }
  if #jobs == 1 then
    arrival:post()
  end
end

--- Ends the thread that starts the others: it would keep a worker alive that was told to go.
function Background.stop()
  is_stopped = true
  arrival:post()
end

return Background
