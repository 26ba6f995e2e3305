-- Reads and writes connections of clients with nginx's own functions, beside ngx_lua.
-- ngx_lua reads into a buffer that each socket keeps while it is open, and each of its writes is a thread that wakes up.
--
-- The connection is found by the first fields of two structures (client.lua). It is used only if nginx's functions for plain
-- sockets or for TLS are in their places there. If they are not, or with DIRECT_IO=off, ngx_lua does everything.

local ffi = require "ffi"
local Client = require "framegate.runtime.client"
local Config = require "framegate.config"
local Log = require "framegate.runtime.log"

ffi.cdef [[
  ssize_t ngx_unix_send(void *connection, const char *data, size_t bytes);
  ssize_t ngx_unix_recv(void *connection, char *buffer, size_t bytes);
  ssize_t ngx_ssl_recv(void *connection, char *buffer, size_t bytes);
  intptr_t ngx_tcp_nodelay(void *connection);
]]

local DirectIo = {}

--- The size of ngx_lua's buffer for a socket (lua_socket_buffer_size). Most messages of clients are shorter.
DirectIo.CHUNK_BYTES = 256

local REST_BYTES = 16384

local C, cast = ffi.C, ffi.cast
local CHUNK_BYTES = DirectIo.CHUNK_BYTES

-- Where a function of nginx is.
---@return ffi.cdata*? address
local function find(name)
  local ok, address = pcall(function() return cast("void *", C[name]) end)
  return ok and address or nil
end

local SEND, RECEIVE, RECEIVE_TLS = find "ngx_unix_send", find "ngx_unix_recv", find "ngx_ssl_recv"
local has_functions = SEND and RECEIVE and find "ngx_tcp_nodelay"
local is_on, has_warned = false, false
local buffer = ffi.new("char[?]", CHUNK_BYTES + REST_BYTES) -- of the worker; nothing stays in it

local function warn_once()
  if not has_warned then
    has_warned = true
    Log.warn(
      nil,
      "DIRECT_IO=on: this nginx keeps its connections in an unknown way, so ngx_lua reads and writes all sockets"
    )
  end
end

--- Runs in the master: looks for nginx's functions, unless DIRECT_IO is off.
function DirectIo.start()
  is_on = Config.DIRECT_IO and has_functions ~= nil
  if Config.DIRECT_IO and not has_functions then
    warn_once()
  end
end

local function is_plain(connection) return connection.send == SEND and connection.recv == RECEIVE end
local function is_tls(connection) return RECEIVE_TLS ~= nil and connection.recv == RECEIVE_TLS end

--- The address of nginx's connection for the current request, valid until the request ends.
--- It also sets TCP_NODELAY, which ngx_lua sets only for its own writes.
---@return integer? address nil when it cannot be written to from here, as with TLS
function DirectIo.address()
  local connection = is_on and Client.connection()
  if connection and is_plain(connection) then
    C.ngx_tcp_nodelay(connection)
    return tonumber(cast("uintptr_t", connection))
  elseif is_on and not (connection and is_tls(connection)) then
    warn_once()
  end
end

--- Writes to a connection as much as the kernel accepts now.
---@param address integer as `address` gives it
---@param data string
---@return integer bytes that were written; 0 also after a failure
function DirectIo.send(address, data)
  return math.max(0, tonumber(C.ngx_unix_send(cast("void *", address), data, #data)))
end

--- Reads what has arrived behind a chunk, if that has filled the buffer of ngx_lua. It must be the last one read from the
--- current request, and everything that arrived together with the head of the request must have been read.
---@param chunk string
---@return string chunk with what follows it
function DirectIo.complete(chunk)
  local connection = is_on and #chunk == CHUNK_BYTES and Client.connection()
  if not connection then
    return chunk
  end
  local rest, bytes = buffer + CHUNK_BYTES, 0
  if is_plain(connection) then
    bytes = tonumber(C.ngx_unix_recv(connection, rest, REST_BYTES))
  elseif is_tls(connection) then
    bytes = tonumber(C.ngx_ssl_recv(connection, rest, REST_BYTES))
  end
  if bytes <= 0 then
    return chunk -- ngx_lua learns of an end or an error with its next read
  end
  ffi.copy(buffer, chunk, CHUNK_BYTES)
  return ffi.string(buffer, CHUNK_BYTES + bytes)
end

return DirectIo
