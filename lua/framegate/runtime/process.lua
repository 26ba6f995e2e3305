-- Processes of this machine (kill(2)).

local ffi = require "ffi"

ffi.cdef "int kill(int pid, int sig);"

local Process = {}

local ESRCH = 3

--- Whether no process has this number. One that was killed counts as dead when its parent has taken note.
---@param pid integer
---@return boolean
function Process.is_dead(pid) return ffi.C.kill(pid, 0) == -1 and ffi.errno() == ESRCH end

--- What this process occupies in memory, shared memory that it has touched among it, in bytes (proc(5), VmRSS).
---@return integer
function Process.memory()
  local file = assert(io.open("/proc/self/status"))
  local text = file:read("*a")
  file:close()
  return tonumber(text:match("VmRSS:%s+(%d+) kB")) * 1024
end

return Process
