-- SOCKET_LOG: writes a line of JSON when a socket opens, closes or is refused (docs/operating.md lists the members).
-- A file is opened for each line, so that it may be moved away at any time.
-- Writing never makes a worker wait: a line that does not fit into a full pipe is counted as lost.

local bit = require "bit"
local ffi = require "ffi"
local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Counters = require "framegate.telemetry.counters"
local JsonObject = require "framegate.telemetry.json_object"
local Log = require "framegate.runtime.log"

-- The name of poll(2) is our own: client.lua declares it with another type.
ffi.cdef [[
int open(const char *path, int flags, ...);
long write(int fd, const void *data, size_t length);
long send(int socket, const void *data, size_t length, int flags);
int close(int fd);
char *strerror(int errnum);
struct framegate_log_pollfd { int fd; short events; short revents; };
int framegate_log_poll(struct framegate_log_pollfd *fds, unsigned long count, int timeout) __asm__("poll");
]]

local SocketLog = {}

local C = ffi.C
local LOST = Counters.place "framegate_log_lines_lost_total"
local O_WRONLY, O_CREAT, O_APPEND, O_NONBLOCK, O_CLOEXEC = 0x1, 0x40, 0x400, 0x800, 0x80000 -- Linux, x86-64 and arm64
local MODE = 416 -- 0640
local MAX_PATH = 1024 -- so that a line stays below the size that a pipe writes in one piece (pipe(7), PIPE_BUF)
local STANDARD = { stdout = 1, stderr = 2 }

local ENXIO = 6
local MSG_DONTWAIT_NOSIGNAL = 0x4040

local POLLOUT = 4

local has_warned = false
local descriptor, is_socket
local is_shared -- another user's pipe: writing may block, so it is polled first
local poll = ffi.new("struct framegate_log_pollfd")

-- Opens stdout or stderr again: O_NONBLOCK on the inherited one would also change it for other processes.
-- A socket, such as systemd's, cannot be opened; there `send` has a flag instead.
local function open_standard(name)
  descriptor = C.open("/dev/" .. name, bit.bor(O_WRONLY, O_APPEND, O_NONBLOCK, O_CLOEXEC))
  if descriptor < 0 then
    is_socket = ffi.errno() == ENXIO
    is_shared = not is_socket
    descriptor = STANDARD[name]
    poll.fd, poll.events = descriptor, POLLOUT
  end
end

local function put_standard(name, line)
  if not descriptor then
    open_standard(name)
  end
  if is_socket then
    return C.send(descriptor, line, #line, MSG_DONTWAIT_NOSIGNAL) == #line
  end
  return (not is_shared or C.framegate_log_poll(poll, 1, 0) == 1) and C.write(descriptor, line, #line) == #line
end

local function put(line)
  local target = Config.SOCKET_LOG
  if STANDARD[target] then
    return put_standard(target, line)
  end
  local file = C.open(target, bit.bor(O_WRONLY, O_CREAT, O_APPEND, O_NONBLOCK, O_CLOEXEC), ffi.cast("int", MODE))
  if file < 0 then
    return false
  end
  local is_written = C.write(file, line, #line) == #line
  C.close(file)
  return is_written
end

--- Writes a path in printable ASCII: other bytes are percent-encoded.
---@param uri string as it was sent
---@return string
function SocketLog.printable(uri)
  return (uri:gsub("[^\33-\126]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

--- The path of a request as it may be shown: without its query, in printable ASCII, at most 1024 bytes.
---@param uri string as it was sent
---@return string
function SocketLog.path(uri) return SocketLog.printable(uri:match("^[^?]*")):sub(1, MAX_PATH) end

--- Whether SOCKET_LOG is on.
---@return boolean
function SocketLog.is_on() return Config.SOCKET_LOG ~= "off" end

--- Writes one line.
---@param event "open"|"close"|"refuse"
---@param members { [1]: string, [2]: string|number|table|nil }[] as for JsonObject.write
function SocketLog.write(event, members)
  local line = JsonObject.write { { "time", Clock.timestamp() }, { "event", event }, unpack(members) }
  if put(line .. "\n") then
    has_warned = false
    return
  end
  Counters.count(LOST)
  if not has_warned then
    has_warned = true
    Log.warn(
      nil,
      "SOCKET_LOG=",
      Config.SOCKET_LOG,
      ": a line could not be written: ",
      ffi.string(C.strerror(ffi.errno()))
    )
  end
end

return SocketLog
