-- Whether this worker admits one more socket, and under which key nginx counts the sockets of an address.

local Address = require "framegate.protocol.address"
local Config = require "framegate.config"
local Log = require "framegate.runtime.log"

local Admission = {}

local members, registry

--- Gives this module the instances of its worker.
---@param worker Worker
function Admission.wire(worker)
  members, registry = worker.members, worker.registry
end

local has_warned = false

local function warn_once()
  if not has_warned then
    has_warned = true
    local count, remedy = registry:count(), Config.capacity.remedy
    Log.warn(nil, "this worker holds ", count, " sockets and takes no more: raise ", remedy)
  end
end

--- Looks whether there is room for one more socket.
---@return table? refusal as Refusal.send takes it; nil when there is room
function Admission.check()
  if members:has_left() then
    return {
      cause = "leaving",
      status = 503,
      message = "this worker of the gateway is going away, another is there",
      headers = { ["Retry-After"] = 0 },
    }
  end
  if registry:count() < Config.capacity.sockets then
    return nil
  end
  warn_once()
  return {
    cause = "full",
    status = 503,
    message = "this gateway holds as many sockets as it can",
    headers = { ["Retry-After"] = 5 },
  }
end

--- The key under which limit_conn counts: the address (of an IPv6 client its /64) and the generation. limit_conn never
--- forgets the sockets of a worker that was killed; a new generation begins to count anew.
---@return string
function Admission.limit_key() return Address.network(ngx.var.remote_addr) .. members:generation() end

return Admission
