-- Owners of the requests that may become sockets, and the report of each request's end to its owner.
-- A request has one owner from the moment its handler learns of it until nginx frees it. Its end may be a client's reset,
-- an error in a thread, or nginx finalizing the request. socket.conf calls `RequestEnd.run` in every case.
--
-- Holding the owner also holds the raw request socket, which must not be collected while nginx lingers. Its finalizer
-- would delete the timer that ends the lingering, and a silent client would keep the connection for ever.

local Client = require "framegate.runtime.client"
local Log = require "framegate.runtime.log"

local RequestEnd = {}

local owners = {} -- by Client.key
local total = 0

--- Sets the owner of the current request and replaces the previous one.
---@param owner table with a method `request_ended`, which must not yield; the owner may have ended long before the call
function RequestEnd.own(owner)
  local key = Client.key()
  if not owners[key] then
    total = total + 1
  end
  owners[key] = owner
end

--- Counts the requests that have an owner: waiting handshakes, sockets, and ended sockets that nginx still holds.
---@return integer
function RequestEnd.total() return total end

local function run()
  local key = Client.key()
  local owner = owners[key]
  if owner then
    owners[key], total = nil, total - 1
    owner:request_ended()
  end
end

--- Reports to the owner that nginx frees the current request.
function RequestEnd.run()
  local ok, err = xpcall(run, debug.traceback)
  if not ok then
    Log.error(nil, "ending a request failed: ", err)
  end
end

return RequestEnd
