-- The requests that nginx proxies to the site, or as plain ones to the handler. A long one would keep a worker from
-- exiting, and nginx cannot end single requests.

local ffi = require "ffi"
local Client = require "framegate.runtime.client"

ffi.cdef "int shutdown(int fd, int how);"

local Passing = {}

local SHUT_RDWR = 2

local sockets, count = {}, 0 -- the clients' file descriptors, by request

--- The current request will be passed on. Every such request calls `forget` when it has ended.
function Passing.note()
  local connection, key = Client.connection(), Client.key()
  if connection and not sockets[key] then
    sockets[key], count = connection.fd, count + 1
  end
end

--- The current request has ended.
function Passing.forget()
  local key = Client.key()
  if sockets[key] then
    sockets[key], count = nil, count - 1
  end
end

---@return integer how many requests are being passed on
function Passing.count() return count end

--- Ends all of them: nginx sees that the client is gone (shutdown(2)).
function Passing.end_all()
  for _, fd in pairs(sockets) do
    ffi.C.shutdown(fd, SHUT_RDWR)
  end
end

return Passing
