-- The record of a socket in shared memory, with all that its close event needs.
-- If the worker that holds the socket is killed, another worker can still send the close event (orphans.lua).
-- All processes of a machine share CLOCK_MONOTONIC, so its times are valid there too.

local Log = require "framegate.runtime.log"
local Record = {}

local sockets = ngx.shared.sockets
local is_full = false

--- Writes the record of a socket. Only its last part, the handshake, may contain line breaks.
---@param connection Connection
function Record.write(connection)
  local record = ("%.3f\n%s\n%s\n%s"):format(
    connection.opened_at,
    connection.state or "",
    connection.path,
    connection.handshake
  )
  local ok, err = sockets:safe_set(connection.id, record)
  if not ok and not is_full then
    is_full = true
    Log.warn(connection.id, "no close event will follow if this worker is killed: ", err)
  end
end

--- Removes the record once the close event was answered.
---@param connection { id: string }
function Record.remove(connection)
  sockets:delete(connection.id)
  is_full = false
end

--- Reads the records of one worker's sockets.
---@param prefix string names of the node and the worker; the ids of its sockets begin with it
---@return { id: string, opened_at: number, state: string?, path: string, handshake: string }[] records
function Record.of_worker(prefix)
  local records = {}
  for _, id in ipairs(sockets:get_keys(0)) do
    local record = id:sub(1, #prefix) == prefix and sockets:get(id)
    if record then
      local opened_at, state, path, handshake = record:match("^([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$")
      records[#records + 1] = {
        id = id,
        opened_at = tonumber(opened_at),
        state = state ~= "" and state or nil,
        path = path,
        handshake = handshake,
      }
    end
  end
  return records
end

return Record
