-- How eagerly LuaJIT's garbage is collected. Most of what a gateway holds is idle sockets, and garbage beside them should be
-- small; but while frames pass, each collection goes over all of them, so it is done less often.

local Garbage = {}

local IDLE_PAUSE, BUSY_PAUSE = 108, 400      -- percent of what lives, at which the next collection begins
local STEP = 400                             -- how fast one is done
local CHECK_SECONDS = 5

local is_busy = false
local noted, seen = 0, 0

local function set_pause(percent)
  collectgarbage("setpause", percent)
end

local function watch()
  while noted ~= seen and not ngx.worker.exiting() do
    seen = noted
    ngx.sleep(CHECK_SECONDS)
  end
  is_busy = false
  set_pause(IDLE_PAUSE)
end

--- Begins, in a worker.
function Garbage.start()
  collectgarbage("setstepmul", STEP)
  set_pause(IDLE_PAUSE)
end

--- A message or a push passes.
function Garbage.note_work()
  noted = noted + 1
  if not is_busy then
    is_busy = true
    set_pause(BUSY_PAUSE)
    ngx.timer.at(0, watch)
  end
end

return Garbage
