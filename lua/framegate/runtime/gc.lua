-- Controls how often LuaJIT collects garbage: often for idle sockets, rarely while frames pass.
-- Most memory belongs to idle sockets, and the garbage beside them should stay small.
-- But each collection visits all sockets, which is too expensive while frames pass.
-- The collector runs as garbage is produced, so callers report what they are doing (frame, idle socket).

local ffi = require "ffi"
local Clock = require "framegate.runtime.clock"
local Log = require "framegate.runtime.log"

ffi.cdef "int malloc_trim(size_t pad);"
local C = ffi.C
local has_trim = pcall(function() return C.malloc_trim end) -- only glibc has it

local Gc = {}

local IDLE_PAUSE, BUSY_PAUSE = 108, 400 -- a collection begins when memory reaches this percentage of the live memory
local STEP = 400 -- speed of a collection
local BUSY_SECONDS = 5 -- after a frame

local MANY = 1000 -- sockets that have ended

local LARGE_BYTES = 256 * 1024 -- of a message or an answer
local LARGE_PAUSES = { 1, 9, 50 } -- seconds without a large body, after which garbage is collected
local STEP_KB = 4096
local MAX_CYCLES = 12

local is_busy = false
local large_bodies = 0
local pausing -- which of LARGE_PAUSES runs; nil if none does
local pauses = 0 -- that have begun
local last_frame = 0
local ended = 0

--- Sets the collector up. Runs in each worker.
function Gc.start()
  collectgarbage("setstepmul", STEP)
  collectgarbage("setpause", IDLE_PAUSE)
end

--- Reports that a message or a push passes.
function Gc.note_frame()
  last_frame = Clock.monotonic()
  if not is_busy then
    is_busy = true
    collectgarbage("setpause", BUSY_PAUSE)
  end
end

--- Reports that a socket opens, or that an idle one is pinged.
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

-- Runs at least two cycles, since the first may have begun long ago, and more while they help.
-- Each cycle halves LuaJIT's own buffer. Between its steps sockets are served.
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

-- Collects if no large body has passed since the pause began. If one has, the first pause begins again.
local end_of_pause = Log.caught("collecting garbage", function(premature, number, pause, seen)
  if premature or number ~= pauses then
    return
  end
  if seen == large_bodies then
    collect_in_steps()
  end
  if number == pauses then
    wait_for_pause(seen == large_bodies and pause + 1 or 1)
  end
end)

function wait_for_pause(pause)
  local seconds = LARGE_PAUSES[pause]
  pauses = pauses + 1
  pausing = seconds and ngx.timer.at(seconds, end_of_pause, pauses, pause, large_bodies) and pause or nil
end

--- Reports that a message or an answer of a handler was read, whole or in part, or released.
--- While large ones pass, the collector keeps up by itself. After the last one nothing else would collect their
--- garbage.
---@param bytes integer
function Gc.note_body(bytes)
  if bytes >= LARGE_BYTES then
    large_bodies = large_bodies + 1
    if not pausing then
      wait_for_pause(1)
    elseif pausing > 2 then
      wait_for_pause(2) -- the last pause would be too long for it; a short one would collect too often
    end
  end
end

--- Reports that a socket has ended.
function Gc.note_end() ended = ended + 1 end

--- Whether at least 1,000 sockets have ended, so that a worker without sockets should collect their garbage.
---@return boolean
function Gc.is_due() return ended >= MANY end

--- Collects all garbage, in a worker without sockets, and returns free pages to the kernel.
--- It blocks for about 2 µs for each socket that has ended. Later sockets can then use the same memory.
function Gc.collect()
  ended = 0
  collectgarbage()
  trim()
end

return Gc
