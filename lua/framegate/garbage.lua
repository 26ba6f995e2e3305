-- How eagerly LuaJIT's garbage is collected. Most of what a gateway holds is idle sockets, and garbage beside them should be
-- small; but while frames pass, each collection goes over all of them, so it is done less often.

local Errand = require "framegate.errand"

local Garbage = {}

local IDLE_PAUSE, BUSY_PAUSE = 108, 400      -- percent of what lives, at which the next collection begins
local STEP = 400                             -- how fast one is done
local CHECK_SECONDS = 5

local noted, seen = 0, 0

local function set_pause(percent)
  collectgarbage("setpause", percent)
end

local watch = Errand.new("watching over the garbage collector", function()
  while noted ~= seen and not ngx.worker.exiting() do
    seen = noted
    ngx.sleep(CHECK_SECONDS)
  end
  set_pause(IDLE_PAUSE)
end)

--- Begins, in a worker.
function Garbage.start()
  collectgarbage("setstepmul", STEP)
  set_pause(IDLE_PAUSE)
end

--- A message or a push passes.
function Garbage.note_work()
  noted = noted + 1
  if not watch.is_under_way then
    set_pause(BUSY_PAUSE)
    watch:begin()
  end
end

return Garbage
