-- A file that this process appends to with one system call each time, and that it may lock.
-- Lua's own files buffer, and cannot be locked.

local bit = require "bit"
local ffi = require "ffi"

ffi.cdef [[
  int open(const char *path, int flags, ...);
  long write(int fd, const void *data, size_t length);
  long pread(int fd, void *data, size_t length, long offset);
  int ftruncate(int fd, long length);
  int fdatasync(int fd);
  int futimens(int fd, const void *times);
  int flock(int fd, int operation);
  int close(int fd);
  char *strerror(int errnum);

  /* struct statx of Linux: the same on every processor */
  typedef struct {
    uint32_t mask, block_size; uint64_t attributes; uint32_t links, uid, gid; uint16_t mode, padding;
    uint64_t inode, size, blocks, attributes_mask;
    struct { int64_t seconds; uint32_t nanoseconds; int32_t padding; } accessed, born, changed, modified;
    uint64_t others[16];
  } framegate_statx;
  int statx(int folder, const char *path, int flags, unsigned int mask, framegate_statx *facts);

  /* struct dirent of 64-bit Linux */
  typedef struct { uint64_t inode; int64_t offset; uint16_t length; uint8_t type; char name[256]; } framegate_dirent;
  void *opendir(const char *path);
  framegate_dirent *readdir(void *folder);
  int closedir(void *folder);
]]

local C = ffi.C
local O_RDWR, O_CREAT, O_EXCL, O_APPEND, O_CLOEXEC = 0x2, 0x40, 0x80, 0x400, 0x80000 -- Linux, x86-64 and arm64
local MODE = 384 -- 0600
local LOCK_EXCLUSIVE_NOW = 6 -- LOCK_EX and LOCK_NB
local AT_EMPTY_PATH, STATX_BASIC_STATS = 0x1000, 0x7ff
local PIECE = 256 * 1024

---@class File
---@field path string
---@field size integer bytes, as long as only this process writes
---@field private fd integer
local File = {}
File.__index = File

local function problem() return ffi.string(C.strerror(ffi.errno())) end

local function facts_of(fd)
  local facts = ffi.new "framegate_statx"
  assert(C.statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, facts) == 0, "statx failed")
  return facts
end

local function open(path, flags)
  local fd = C.open(path, bit.bor(O_RDWR, O_APPEND, O_CLOEXEC, flags), ffi.cast("int", MODE))
  if fd < 0 then
    return nil, problem()
  end
  return setmetatable({ path = path, fd = fd, size = tonumber(facts_of(fd).size) }, File)
end

--- Makes a new file with mode 0600 (open(2)).
---@param path string where no file may be
---@return File?
---@return string? err text of strerror(3)
function File.create(path) return open(path, bit.bor(O_CREAT, O_EXCL)) end

--- Opens a file that exists.
---@param path string
---@return File?
---@return string? err text of strerror(3)
function File.open(path) return open(path, 0) end

--- Names of what is in a folder (readdir(3)), in no order.
---@param path string
---@return string[] names none if the folder cannot be read
function File.names(path)
  local names, folder = {}, C.opendir(path)
  if folder == nil then
    return names
  end
  local entry = C.readdir(folder)
  while entry ~= nil do
    names[#names + 1] = ffi.string(entry.name)
    entry = C.readdir(folder)
  end
  C.closedir(folder)
  return names
end

--- Appends a text as a whole, or nothing of it (write(2)). The kernel has it then; it may not be on the disk.
---@param text string
---@return boolean? ok
---@return string? err text of strerror(3)
function File:append(text)
  local written = tonumber(C.write(self.fd, text, #text))
  if written == #text then
    self.size = self.size + written
    return true
  end
  local err = written < 0 and problem() or "No space left on device"
  if written > 0 then
    C.ftruncate(self.fd, self.size)
  end
  return nil, err
end

--- Waits until the disk has what was appended (fdatasync(2)).
---@return boolean? ok
---@return string? err text of strerror(3)
function File:sync()
  if C.fdatasync(self.fd) == 0 then
    return true
  end
  return nil, problem()
end

--- Takes back what was appended behind an offset (ftruncate(2)).
---@param size integer bytes that stay
function File:cut(size)
  C.ftruncate(self.fd, size)
  self.size = size
end

--- Reads a piece (pread(2)).
---@param offset integer bytes from the start
---@param length integer? bytes at most; by default 256 KB
---@return string bytes empty at the end, and where the disk fails
function File:read(offset, length)
  local buffer = ffi.new("char[?]", math.min(length or PIECE, PIECE))
  return ffi.string(buffer, math.max(0, tonumber(C.pread(self.fd, buffer, ffi.sizeof(buffer), offset))))
end

--- Locks the file until it is closed or this process ends (flock(2)).
---@return boolean is_locked false when another process has it
function File:lock() return C.flock(self.fd, LOCK_EXCLUSIVE_NOW) == 0 end

--- Whether the file still has a name: another process may have removed or replaced it since it was opened.
---@return boolean
function File:has_name() return facts_of(self.fd).links > 0 end

--- When it was written or touched last, in seconds since 1970.
---@return number
function File:modified()
  local time = facts_of(self.fd).modified
  return tonumber(time.seconds) + tonumber(time.nanoseconds) * 1e-9
end

--- Sets that time to now (futimens(2)).
function File:touch() C.futimens(self.fd, nil) end

function File:close() C.close(self.fd) end

return File
