-- How eagerly LuaJIT's garbage is collected. Most of what a gateway holds is idle sockets, and garbage beside them should be
-- small; but while frames pass, each collection goes over all of them, so it is done less often. Collecting goes with
-- making garbage: whoever makes some says what for.

local Garbage = {}

local IDLE_PAUSE, BUSY_PAUSE = 108, 400      -- percent of what lives, at which the next collection begins
local STEP = 400                             -- how fast one is done
local BUSY_SECONDS = 5                       -- after a frame

local is_busy = false
local last_frame = 0

--- Begins, in a worker.
function Garbage.start()
  collectgarbage("setstepmul", STEP)
  collectgarbage("setpause", IDLE_PAUSE)
end

--- A message or a push passes.
function Garbage.note_frame()
  last_frame = ngx.now()
  if not is_busy then
    is_busy = true
    collectgarbage("setpause", BUSY_PAUSE)
  end
end

--- A socket opens, or an idle one is pinged.
function Garbage.note_idle_socket()
  if is_busy and ngx.now() - last_frame > BUSY_SECONDS then
    is_busy = false
    collectgarbage("setpause", IDLE_PAUSE)
  end
end

return Garbage
