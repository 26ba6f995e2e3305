-- How eagerly LuaJIT's garbage is collected. Most of what a gateway holds is idle sockets, and garbage beside them should be
-- small; but while frames pass, each collection goes over all of them, so it is done less often. The collector runs as
-- garbage is produced, so callers report what they are doing (frame, idle socket).

local ffi = require "ffi"
local Clock = require "framegate.runtime.clock"

ffi.cdef "int malloc_trim(size_t pad);"
local C = ffi.C
local has_trim = pcall(function() return C.malloc_trim end) -- of glibc alone

local Gc = {}

local IDLE_PAUSE, BUSY_PAUSE = 108, 400 -- percent of what lives, at which the next collection begins
local STEP = 400 -- how fast one is done
local BUSY_SECONDS = 5 -- after a frame

local MANY = 1000 -- sockets that have ended

local is_busy = false
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
  if has_trim then
    C.malloc_trim(0)
  end
end

return Gc
