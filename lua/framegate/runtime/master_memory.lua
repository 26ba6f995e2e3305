-- What nginx's master keeps over reloads: texts in its environment, and memory that it shares with its workers.
-- A reload must not touch a shared dictionary: the lock of a worker that was killed in it is freed only when the master
-- handles SIGCHLD, and nginx blocks that signal during a reload. The master would wait forever, and all workers too.

local ffi = require "ffi"

ffi.cdef [[
  void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset);
  int setenv(const char *name, const char *value, int overwrite);
]]

local MasterMemory = {}

local PREFIX = "FRAMEGATE_MASTER_"
local PROT_READ_WRITE, MAP_SHARED_ANONYMOUS = 3, 0x21 -- the same on x86-64 and arm64

--- Reads a text that an earlier configuration of this master has kept. Only the master has it.
---@param name string
---@return string?
function MasterMemory.get(name) return os.getenv(PREFIX .. name) end

--- Keeps a text for the configurations of later reloads (setenv(3)).
---@param name string
---@param text string
function MasterMemory.keep(name, text) ffi.C.setenv(PREFIX .. name, text, 1) end

--- Maps memory (mmap(2)) that the workers inherit, whatever user they run as. It begins with zeros.
---@param bytes integer
---@return string address for `at`
function MasterMemory.map(bytes)
  local memory = ffi.C.mmap(nil, bytes, PROT_READ_WRITE, MAP_SHARED_ANONYMOUS, -1, 0)
  if ffi.cast("intptr_t", memory) == -1 then
    error("could not map memory for the workers: mmap failed with errno " .. ffi.errno())
  end
  return ("%.0f"):format(tonumber(ffi.cast("uintptr_t", memory)))
end

--- Finds mapped memory.
---@param address string from `map`
---@return ffi.cdata* numbers double*
function MasterMemory.at(address) return ffi.cast("double *", ffi.cast("uintptr_t", tonumber(address))) end

--- A number that the master and all its workers share; 0 at the start.
---@param name string
---@return ffi.cdata* number double*: its value is at index 0
function MasterMemory.number(name)
  local address = MasterMemory.get(name) or MasterMemory.map(ffi.sizeof("double"))
  MasterMemory.keep(name, address)
  return MasterMemory.at(address)
end

return MasterMemory
