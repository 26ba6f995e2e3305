-- What the kernel knows about processes: whether one is running, and how much memory this one uses.

local ffi = require "ffi"

ffi.cdef "int kill(int pid, int sig); void _exit(int status);"

local Process = {}

local ESRCH = 3

--- Whether no process has this id (kill(2)). A killed process counts as dead once its parent has waited for it.
---@param pid integer
---@return boolean
function Process.is_dead(pid) return ffi.C.kill(pid, 0) == -1 and ffi.errno() == ESRCH end

--- Ends this worker and all its connections (_exit(2)). nginx's own end would log each of them as a leak.
function Process.exit() ffi.C._exit(0) end

--- The resident memory of this process, including shared memory that it has touched (proc(5), VmRSS).
---@return integer bytes
function Process.memory()
  local file = assert(io.open("/proc/self/status"))
  local text = file:read("*a")
  file:close()
  return tonumber(text:match("VmRSS:%s+(%d+) kB")) * 1024
end

return Process
