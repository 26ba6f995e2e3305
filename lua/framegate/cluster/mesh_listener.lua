-- Accepts the dials of other workers (nginx/mesh.conf).
-- Any local process can reach the port, so a link begins with a secret that only the workers know.

local Log = require "framegate.runtime.log"
local Secret = require "framegate.runtime.secret"

local MeshListener = {}

local CONNECT_MS, SEND_MS, READ_MS = 1000, 5000, 5000

local members, mesh

--- Gives this module the instances of its worker.
---@param worker Worker
function MeshListener.wire(worker)
  members, mesh = worker.members, worker.mesh
end

--- Accepts the link of another worker, and serves it until it ends. Runs in the content phase of the mesh listener.
function MeshListener.run()
  local socket = assert(ngx.req.socket(true))
  socket:settimeouts(CONNECT_MS, SEND_MS, READ_MS)
  local secret, name, joined_at, is_leaving = (socket:receive("*l") or ""):match("^(%S+) (%S+) (%d+) (%d)$")
  if not secret or not Secret.is_same(secret, members:secret()) then
    Log.limited(Log.warn, "mesh", nil, "somebody who does not know the secret tried to join the mesh of workers")
    return
  end
  local caller = { name = name, joined_at = tonumber(joined_at), is_leaving = is_leaving == "1" }
  local link = mesh:admit(caller, socket)
  socket:send((link and "welcome " or "known ") .. members:worker() .. "\n")
  if link then
    mesh:serve(link)
  end
end

return MeshListener
