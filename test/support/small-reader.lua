-- luajit small-reader.lua <port> <path>: a WebSocket with a receive buffer of 4 KB, which Node cannot ask for.
-- It makes the handshake, waits for a line on its standard input, and then copies all that comes to its standard output.

local ffi = require "ffi"

ffi.cdef [[
  int socket(int family, int type, int protocol);
  int setsockopt(int fd, int level, int option, const void *value, unsigned int length);
  typedef struct { uint16_t family; uint8_t port[2]; uint8_t address[4]; uint8_t padding[8]; } reader_address;
  int connect(int fd, const reader_address *address, unsigned int length);
  long send(int fd, const void *data, size_t length, int flags);
  long recv(int fd, void *data, size_t length, int flags);
]]

local C = ffi.C
local AF_INET, SOCK_STREAM, SOL_SOCKET, SO_RCVBUF = 2, 1, 1, 8
local port, path = tonumber(arg[1]), arg[2]

local fd = C.socket(AF_INET, SOCK_STREAM, 0)
C.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, ffi.new("int[1]", 4096), 4)
local address = ffi.new("reader_address", { family = AF_INET })
address.port[0], address.port[1] = math.floor(port / 256), port % 256
address.address[0], address.address[3] = 127, 1
assert(C.connect(fd, address, ffi.sizeof(address)) == 0, "connect failed")
local request = ("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"):format(path, port)
  .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
assert(C.send(fd, request, #request, 0) == #request, "send failed")
io.read "*l"
local buffer = ffi.new "char[65536]"
local bytes = tonumber(C.recv(fd, buffer, 65536, 0))
while bytes > 0 do
  io.write(ffi.string(buffer, bytes))
  io.flush()
  bytes = tonumber(C.recv(fd, buffer, 65536, 0))
end
