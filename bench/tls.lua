-- The client's side of TLS over sockets that are connected (OpenSSL 3, ssl(7)). It trusts every certificate.

local ffi = require "ffi"

ffi.cdef [[
  typedef struct ssl_ctx_st SSL_CTX;
  typedef struct ssl_st SSL;
  const void *TLS_client_method(void);
  SSL_CTX *SSL_CTX_new(const void *method);
  SSL *SSL_new(SSL_CTX *context);
  int SSL_set_fd(SSL *ssl, int fd);
  int SSL_connect(SSL *ssl);
  int SSL_write(SSL *ssl, const void *bytes, int count);
  int SSL_read(SSL *ssl, void *buffer, int count);
  int SSL_pending(const SSL *ssl);
]]

local Tls = {}

local library, context

local function load()
  library = ffi.load "libssl.so.3"
  context = library.SSL_CTX_new(library.TLS_client_method())
end

--- Performs the handshake.
---@param fd integer
---@return ffi.cdata* ssl
function Tls.connect(fd)
  if not library then
    load()
  end
  local ssl = library.SSL_new(context)
  library.SSL_set_fd(ssl, fd)
  if library.SSL_connect(ssl) ~= 1 then
    error("the handshake of TLS failed", 0)
  end
  return ssl
end

---@param ssl ffi.cdata*
---@param bytes string
---@return integer count of bytes sent, below 1 after an error
function Tls.send(ssl, bytes) return library.SSL_write(ssl, bytes, #bytes) end

--- Waits for the next record.
---@param ssl ffi.cdata*
---@param buffer ffi.cdata*
---@param size integer
---@return integer count of bytes read, below 1 at the end or after an error
function Tls.receive(ssl, buffer, size) return library.SSL_read(ssl, buffer, size) end

---@param ssl ffi.cdata*
---@return boolean whether more of a record waits, of which epoll knows nothing
function Tls.has_more(ssl) return library.SSL_pending(ssl) > 0 end

return Tls
