-- How eagerly LuaJIT's garbage is collected. Most of what a gateway holds is idle sockets, and garbage beside them should be
-- small; but while frames pass, each collection goes over all of them, so it is done less often. The collector runs as
-- garbage is produced, so callers report what they are doing (frame, idle socket).

local ffi = require "ffi"
local Clock = require "framegate.runtime.clock"
local Log = require "framegate.runtime.log"

ffi.cdef "int malloc_trim(size_t pad);"
local C = ffi.C
local has_trim = pcall(function() return C.malloc_trim end) -- of glibc alone

local Gc = {}

local IDLE_PAUSE, BUSY_PAUSE = 108, 400 -- percent of what lives, at which the next collection begins
local STEP = 400 -- how fast one is done
local BUSY_SECONDS = 5 -- after a frame

local MANY = 1000 -- sockets that have ended

local LARGE_BYTES = 256 * 1024 -- of a message or an answer
local LARGE_PAUSES = { 1, 9, 50 } -- seconds without one, after which what they left is collected
local STEP_KB = 4096
local MAX_CYCLES = 12

local is_busy = false
local is_waiting, large_bodies = false, 0
local last_frame = 0
local ended = 0

--- Begins, in a worker.
function Gc.start()
  collectgarbage("setstepmul", STEP)
  collectgarbage("setpause", IDLE_PAUSE)
end

--- A message or a push passes.
function Gc.note_frame()
  last_frame = Clock.monotonic()
  if not is_busy then
    is_busy = true
    collectgarbage("setpause", BUSY_PAUSE)
  end
end

--- A socket opens, or an idle one is pinged.
function Gc.note_idle_socket()
  if is_busy and Clock.monotonic() - last_frame > BUSY_SECONDS then
    is_busy = false
    collectgarbage("setpause", IDLE_PAUSE)
  end
end

local function trim()
  if has_trim then
    C.malloc_trim(0)
  end
end

local function run_cycle()
  while not collectgarbage("step", STEP_KB) do
    ngx.sleep(0.001)
  end
end

-- At least two cycles, since the first may have been under way for long, and more while they help: each halves LuaJIT's own
-- buffer. In steps, so that sockets are served meanwhile.
local function collect_in_steps()
  run_cycle()
  for _ = 1, MAX_CYCLES do
    local before = collectgarbage "count"
    run_cycle()
    if collectgarbage "count" > 0.9 * before then
      break
    end
  end
  trim()
end

local wait_for_pause

-- Collects if no large body has passed since the pause began; if one has, the pauses begin anew.
local end_of_pause = Log.caught("collecting garbage", function(premature, pause, seen)
  if premature then
    return
  end
  if seen == large_bodies then
    collect_in_steps()
    pause = pause + 1
  else
    pause = 1
  end
  wait_for_pause(pause)
end)

function wait_for_pause(pause)
  local seconds = LARGE_PAUSES[pause]
  is_waiting = seconds ~= nil and ngx.timer.at(seconds, end_of_pause, pause, large_bodies) ~= nil
end

--- A message, or the answer of a handler, was read or let go. While large ones pass, the collector follows by itself; when
--- the last has passed, nothing else would collect what they left.
---@param bytes integer
function Gc.note_body(bytes)
  if bytes >= LARGE_BYTES then
    large_bodies = large_bodies + 1
    if not is_waiting then
      wait_for_pause(1)
    end
  end
end

--- A socket has ended.
function Gc.note_end() ended = ended + 1 end

--- Whether so many sockets have ended that a worker without any should collect what they left.
---@return boolean
function Gc.is_due() return ended >= MANY end

--- Collects everything, in a worker without sockets, and gives free pages back to the kernel. It takes some 2 µs for each
--- socket that has ended; what the next ones take does not come on top of that.
function Gc.collect()
  ended = 0
  collectgarbage()
  trim()
end

return Gc
