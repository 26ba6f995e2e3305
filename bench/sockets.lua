-- IPv4 and unix sockets of Linux for the bench's clients and servers (socket(7), epoll(7)).
-- One loop reads many of them, and a read costs a system call and little else.

local bit = require "bit"
local ffi = require "ffi"
local Tls = require "tls"

-- Linux packs it on this architecture only.
ffi.cdef(
  "struct epoll_event { uint32_t events; uint64_t fd; }" .. (ffi.arch == "x64" and " __attribute__((packed));" or ";")
)
ffi.cdef [[
  struct sockaddr_in { uint16_t family; uint16_t port; uint8_t address[4]; uint8_t zero[8]; };
  struct sockaddr_un { uint16_t family; char path[108]; };
  struct rlimit { uint64_t soft, hard; };
  struct timeval { int64_t seconds, microseconds; };
  struct timespec { int64_t seconds, nanoseconds; };
  int socket(int domain, int type, int protocol);
  int bind(int fd, const void *address, unsigned length);
  int connect(int fd, const void *address, unsigned length);
  int listen(int fd, int backlog);
  int accept(int fd, void *address, unsigned *length);
  int getsockname(int fd, void *address, unsigned *length);
  int close(int fd);
  int setsockopt(int fd, int level, int name, const void *value, unsigned length);
  int epoll_create1(int flags);
  int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
  int epoll_wait(int epoll, struct epoll_event *events, int count, int milliseconds);
  ssize_t recv(int fd, void *buffer, size_t count, int flags);
  ssize_t send(int fd, const void *bytes, size_t count, int flags);
  ssize_t write(int fd, const void *bytes, size_t count);
  int getrlimit(int resource, struct rlimit *limit);
  int setrlimit(int resource, const struct rlimit *limit);
  int clock_gettime(int clock, struct timespec *time);
  char *strerror(int number);
]]

local C = ffi.C
local AF_UNIX, AF_INET, SOCK_STREAM = 1, 2, 1
local SOL_SOCKET, SO_RCVTIMEO, IPPROTO_TCP, TCP_NODELAY = 1, 20, 6, 1
local EPOLL_CTL_ADD, EPOLLIN = 1, 1
local MSG_DONTWAIT, MSG_NOSIGNAL = 0x40, 0x4000
local RLIMIT_NOFILE, CLOCK_MONOTONIC = 7, 1

local Sockets = {}

local BUFFER_BYTES, EVENTS, BACKLOG = 262144, 1024, 4096
local buffer = ffi.new("uint8_t[?]", BUFFER_BYTES)
local events = ffi.new("struct epoll_event[?]", EVENTS)
local epoll = C.epoll_create1(0)
local time = ffi.new "struct timespec"
local patience = ffi.new("struct timeval", 10, 0)
local secured = {} -- by fd: TLS

local function check(result, what)
  if result < 0 then
    error(what .. ": " .. ffi.string(C.strerror(ffi.errno())), 0)
  end
  return result
end

local function swap(port) return bit.bor(bit.lshift(bit.band(port, 0xFF), 8), bit.rshift(port, 8)) end

local function inet(host, port)
  local address = ffi.new "struct sockaddr_in"
  address.family = AF_INET
  address.port = swap(port)
  local i = 0
  for part in host:gmatch "%d+" do
    address.address[i] = tonumber(part)
    i = i + 1
  end
  return address, ffi.sizeof(address)
end

--- As many files as the hard limit allows.
function Sockets.raise_limit()
  local limit = ffi.new "struct rlimit"
  check(C.getrlimit(RLIMIT_NOFILE, limit), "getrlimit")
  limit.soft = limit.hard
  check(C.setrlimit(RLIMIT_NOFILE, limit), "setrlimit")
end

--- Milliseconds of a clock that never goes back.
---@return number
function Sockets.now()
  C.clock_gettime(CLOCK_MONOTONIC, time)
  return tonumber(time.seconds) * 1e3 + tonumber(time.nanoseconds) / 1e6
end

---@param where { port: integer }|{ socketPath: string } a port of 127.0.0.1, or a unix socket
---@param from string? address to connect from
---@return integer fd
function Sockets.connect(where, from)
  if where.socketPath then
    local fd = check(C.socket(AF_UNIX, SOCK_STREAM, 0), "socket")
    local address = ffi.new("struct sockaddr_un", AF_UNIX, where.socketPath)
    check(C.connect(fd, address, ffi.sizeof(address)), where.socketPath)
    return fd
  end
  local fd = check(C.socket(AF_INET, SOCK_STREAM, 0), "socket")
  if from then
    check(C.bind(fd, inet(from, 0)), "bind")
  end
  check(C.connect(fd, inet("127.0.0.1", where.port)), "connect")
  check(C.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, patience, ffi.sizeof(patience)), "setsockopt")
  check(C.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, ffi.new("int[1]", 1), 4), "setsockopt")
  return fd
end

--- Has a connected socket speak TLS.
---@param fd integer
function Sockets.secure(fd) secured[fd] = Tls.connect(fd) end

--- Listens on 127.0.0.1.
---@return integer fd
---@return integer port that the kernel chose
function Sockets.listen()
  local fd = check(C.socket(AF_INET, SOCK_STREAM, 0), "socket")
  local address, size = inet("127.0.0.1", 0)
  check(C.bind(fd, address, size), "bind")
  check(C.listen(fd, BACKLOG), "listen")
  check(C.getsockname(fd, address, ffi.new("unsigned[1]", size)), "getsockname")
  return fd, swap(address.port)
end

--- Accepts the next connection.
---@param listener integer
---@return integer fd
function Sockets.accept(listener)
  local fd = check(C.accept(listener, nil, nil), "accept")
  check(C.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, ffi.new("int[1]", 1), 4), "setsockopt")
  return fd
end

---@param fd integer
function Sockets.close(fd) C.close(fd) end

--- Sends on a socket, which must have room for all of it.
---@param fd integer
---@param bytes string
function Sockets.send(fd, bytes)
  local ssl = secured[fd]
  local sent = ssl and Tls.send(ssl, bytes) or C.send(fd, bytes, #bytes, MSG_NOSIGNAL)
  if check(sent, "send") ~= #bytes then
    error("send: no room", 0)
  end
end

--- Writes to a socket or any other file.
---@param fd integer
---@param bytes string
function Sockets.write(fd, bytes) check(C.write(fd, bytes, #bytes), "write") end

--- Waits for what comes next on a socket, ten seconds on one of TCP.
---@param fd integer
---@return string bytes empty when the other side has ended
function Sockets.receive(fd)
  local ssl = secured[fd]
  local count = ssl and Tls.receive(ssl, buffer, BUFFER_BYTES) or C.recv(fd, buffer, BUFFER_BYTES, 0)
  return ffi.string(buffer, check(count, "recv"))
end

--- Has the loop read this socket, too.
---@param fd integer
function Sockets.watch(fd)
  check(C.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, ffi.new("struct epoll_event", EPOLLIN, fd)), "epoll_ctl")
end

local function read_secured(fd, ssl, take)
  repeat
    take(fd, buffer, math.max(Tls.receive(ssl, buffer, BUFFER_BYTES), 0))
  until not Tls.has_more(ssl)
end

--- Waits until something comes, and reads each socket on which something did, once.
---@param milliseconds integer -1 for ever
---@param take fun(fd: integer, bytes: ffi.cdata*, count: integer) the bytes stand in `bytes` until it returns; a count of 0 says
--- that the other side has ended
---@return boolean whether anything came
function Sockets.read(milliseconds, take)
  local ready = C.epoll_wait(epoll, events, EVENTS, milliseconds)
  for i = 0, ready - 1 do
    local fd = tonumber(events[i].fd)
    local ssl = secured[fd]
    if ssl then
      read_secured(fd, ssl, take)
    else
      take(fd, buffer, math.max(tonumber(C.recv(fd, buffer, BUFFER_BYTES, MSG_DONTWAIT)), 0))
    end
  end
  return ready > 0
end

return Sockets
