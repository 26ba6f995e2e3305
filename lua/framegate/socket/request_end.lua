-- Every request that may become a socket has one owner from the moment its handler hears of it until nginx has freed it, and
-- nginx reports the end to that owner, however it came about: a client that resets, a request that nginx finalizes, an error
-- in a thread. socket.conf calls `RequestEnd.run` then.
--
-- To hold the owner is to hold the raw request socket: were it collected while nginx lingers, its finalizer would delete the
-- timer that ends the lingering, and a silent client would keep the connection for ever.

local Client = require "framegate.runtime.client"
local Log = require "framegate.runtime.log"

local RequestEnd = {}

local owners = {} -- by Client.key
local total = 0

--- Names the owner of the current request, in place of the one before.
---@param owner table with a method `request_ended`, which may be called when it has long ended, and must not yield
function RequestEnd.own(owner)
  local key = Client.key()
  if not owners[key] then
    total = total + 1
  end
  owners[key] = owner
end

--- How many requests have an owner: handshakes that wait, sockets, and ended sockets that nginx still holds.
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

--- nginx frees the current request.
function RequestEnd.run()
  local ok, err = xpcall(run, debug.traceback)
  if not ok then
    Log.error(nil, "ending a request failed: ", err)
  end
end

return RequestEnd
