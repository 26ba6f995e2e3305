-- Sends what waits in outboxes straight with nginx's own function for a plain socket, all of it in one turn of the event
-- loop: of what a frame costs, waking the thread of each socket would be the larger part. That thread (writer.lua) is
-- woken for what this cannot do: TLS, a socket that takes no more or has too much waiting, a close frame.
--
-- The function must stand where nginx keeps it, or the threads write everything: a connection of TLS has another one there.

local ffi = require "ffi"
local get_request = require("resty.core.base").get_request
local Config = require "framegate.config"
local Log = require "framegate.runtime.log"
local semaphore = require "ngx.semaphore"

ffi.cdef [[
  typedef struct framegate_connection_s framegate_connection_t;
  typedef ssize_t (*framegate_send_pt)(framegate_connection_t *connection, const char *data, size_t bytes);

  /* how ngx_connection_t and ngx_http_request_t begin, in every nginx since 0.2 */
  struct framegate_connection_s {
    void *data, *read, *write;
    int fd;
    void *recv;
    framegate_send_pt send;
  };
  typedef struct {
    uint32_t signature;
    framegate_connection_t *connection;
  } framegate_request_t;

  ssize_t ngx_unix_send(framegate_connection_t *connection, const char *data, size_t bytes);
  intptr_t ngx_tcp_nodelay(framegate_connection_t *connection);
]]

local C, cast = ffi.C, ffi.cast
local connection_t, request_t = ffi.typeof("framegate_connection_t *"), ffi.typeof("framegate_request_t *")
local SIGNATURE = 0x50545448 -- NGX_HTTP_MODULE: "HTTP"
local has_functions = pcall(function() return C.ngx_unix_send, C.ngx_tcp_nodelay end)

local Flusher = {}

local WAIT_SECONDS = 3600

local due, count = {}, 0 -- outboxes in which something waits
local arrival
local is_stopped = false

--- Where nginx keeps the connection of the request that runs: valid as long as the request lives. From now on its frames leave at
--- once (TCP_NODELAY), which ngx_lua sees to only when it is what writes.
---@return integer? address nil when it cannot be written to from here
function Flusher.address()
  local request = cast(request_t, get_request())
  if not has_functions or request.signature ~= SIGNATURE then
    return nil
  end
  local connection = request.connection
  if connection.data ~= cast("void *", request) or connection.send ~= C.ngx_unix_send then
    return nil
  end
  C.ngx_tcp_nodelay(connection)
  return tonumber(cast("uintptr_t", connection))
end

-- Over the bound somebody may wait for room, and only the thread says when there is some.
local function send(outbox)
  if outbox.count == 0 or outbox.is_writing then
    return
  end
  local address = outbox.address
  if not address or outbox.is_closed or outbox.bytes > Config.OUTBOX_BYTES then
    return outbox:wake()
  end
  local data = outbox:take()
  local bytes = tonumber(C.ngx_unix_send(cast(connection_t, address), data, #data))
  if bytes == #data then
    return outbox:sent(bytes)
  end
  -- Not all of it, or NGX_AGAIN, or NGX_ERROR: the thread waits until there is room, or learns that there is no peer.
  bytes = math.max(bytes, 0)
  outbox:sent(bytes)
  outbox:put_back(data:sub(bytes + 1))
  return outbox:wake()
end

local function send_all(outboxes, last)
  for i = 1, last do
    send(outboxes[i])
  end
end

local function send_due()
  local outboxes, last = due, count
  due, count = {}, 0
  local ok, err = xpcall(send_all, debug.traceback, outboxes, last)
  if not ok then
    Log.error(nil, "sending failed: ", err)
    for i = 1, last do
      outboxes[i]:wake()
    end
  end
end

local function run(premature)
  while not premature and not is_stopped do
    if count == 0 then
      arrival:wait(WAIT_SECONDS)
    end
    send_due()
  end
end

--- Something waits in an outbox whose socket is not being written.
---@param outbox Outbox
function Flusher.add(outbox)
  count = count + 1
  due[count] = outbox
  if count == 1 then
    arrival:post()
  end
end

--- Begins, in a worker.
function Flusher.start()
  arrival = semaphore.new()
  ngx.timer.at(0, run)
end

--- Ends the thread, which would keep a worker alive that was told to go.
function Flusher.stop()
  is_stopped = true
  arrival:post()
end

return Flusher
