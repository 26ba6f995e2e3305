-- nginx's own record of the TCP connection of the current request. ngx_lua shows neither its address nor whether its
-- client has left while Lua waits for something else.

local ffi = require "ffi"
local get_request = require("resty.core.base").get_request

ffi.cdef [[
  /* how ngx_connection_t and ngx_http_request_t begin, in every nginx since 0.2 */
  typedef struct framegate_connection_s framegate_connection_t;
  struct framegate_connection_s {
    void *data, *read, *write;
    int fd;
    void *recv, *send;
  };
  typedef struct {
    uint32_t signature;
    framegate_connection_t *connection;
  } framegate_request_t;

  typedef struct { int fd; short events, revents; } framegate_pollfd;
  int setsockopt(int fd, int level, int option, const void *value, unsigned int length);
  int shutdown(int fd, int how);
  int poll(framegate_pollfd *files, unsigned long count, int milliseconds);
]]

local Client = {}

local C, cast = ffi.C, ffi.cast
local request_t = ffi.typeof("framegate_request_t *")
local SIGNATURE = 0x50545448 -- NGX_HTTP_MODULE: "HTTP"
local POLLRDHUP = 0x2000
local SHUT_RDWR = 2 -- Linux
local IPPROTO_TCP, TCP_USER_TIMEOUT, TCP_NOTSENT_LOWAT = 6, 18, 25 -- Linux
local file = ffi.new("framegate_pollfd", { events = POLLRDHUP })

--- A key for the current request, which no other request has until nginx has freed this one.
---@return integer
function Client.key() return tonumber(cast("uintptr_t", get_request())) end

--- The connection of the current request: valid as long as the request lives.
---@return ffi.cdata*? connection framegate_connection_t *; nil when this nginx keeps it in a way that is not known here
function Client.connection()
  local request = cast(request_t, get_request())
  if request.signature ~= SIGNATURE or request.connection.data ~= cast("void *", request) then
    return nil
  end
  return request.connection
end

--- The file descriptor of the current request's connection, which nginx uses again after the end of the request.
---@return integer? fd
function Client.file()
  local connection = Client.connection()
  return connection and connection.fd
end

--- Ends a connection for both sides at once (shutdown(2)): threads that wait for it go on.
---@param fd integer of a request that has not ended
function Client.shut(fd) C.shutdown(fd, SHUT_RDWR) end

local function set_option(name, value)
  local connection = Client.connection()
  if connection then
    C.setsockopt(connection.fd, IPPROTO_TCP, name, ffi.new("int[1]", value), ffi.sizeof "int")
  end
end

--- Limits what the kernel accepts for the client of the current request beyond what it has sent (tcp(7),
--- TCP_NOTSENT_LOWAT). Without it, a client that stops reading leaves megabytes there.
---@param bytes integer
function Client.limit_unsent(bytes) set_option(TCP_NOTSENT_LOWAT, bytes) end

--- Ends the connection of the current request when its client has accepted nothing of what was sent for this time (tcp(7),
--- TCP_USER_TIMEOUT).
---@param seconds number
function Client.limit_unacknowledged(seconds) set_option(TCP_USER_TIMEOUT, seconds * 1000) end

--- Whether the client of the current request has ended its side of the connection, or both (poll(2), POLLRDHUP). What it
--- sent before may still be unread.
---@return boolean
function Client.has_left()
  local connection = Client.connection()
  if not connection then
    return false
  end
  file.fd = connection.fd
  return C.poll(file, 1, 0) > 0
end

return Client
