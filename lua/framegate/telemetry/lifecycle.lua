-- Records opened, closed and refused sockets: in counters, in SOCKET_LOG and in the list of closed sockets.

local CloseCode = require "framegate.protocol.close_code"
local Closes = require "framegate.telemetry.closes"
local Counters = require "framegate.telemetry.counters"
local ConnectionInfo = require "framegate.telemetry.connection_info"
local SocketLog = require "framegate.telemetry.socket_log"

local Lifecycle = {}

local REFUSED = Counters.place "framegate_sockets_refused_total"

local function traffic_json(incoming, outgoing) return { ('{"in":%d,"out":%d}'):format(incoming, outgoing) } end

local function members_of(connection, ...)
  return {
    { "id", connection.id },
    { "address", ConnectionInfo.address(connection) },
    { "user", connection.user },
    { "path", SocketLog.path(connection.path) },
    ...,
  }
end

--- The 101 is on its way to a socket that the handler accepted.
---@param connection Connection
function Lifecycle.opened(connection)
  connection.has_begun = true
  Counters.opened()
  if SocketLog.is_on() then
    SocketLog.write("open", members_of(connection))
  end
end

local function record_close(connection, code, cause, traffic)
  local members = members_of(
    connection,
    { "code", code },
    { "reason", connection.close_reason or "" },
    { "cause", cause },
    { "duration", { ("%.3f"):format(ngx.now() - connection.opened) } },
    { "frames", traffic and traffic_json(traffic.frames_in, traffic.frames_out) },
    { "bytes", traffic and traffic_json(traffic.bytes_in, traffic.bytes_out) }
  )
  Closes.add(members)
  if SocketLog.is_on() then
    SocketLog.write("close", members)
  end
end

--- A socket is gone; nothing is said of one that was not opened.
---@param connection Connection
function Lifecycle.closed(connection)
  if not connection.has_begun then
    return
  end
  local code, cause = connection.close_code or CloseCode.ABNORMAL, connection.close_cause or "lost"
  Counters.closed(cause, code)
  record_close(connection, code, cause, connection.traffic)
end

--- The worker that held a socket was killed. Its counters tell themselves (counters.lua).
---@param remains { id: string, path: string, handshake: string, opened: number }
function Lifecycle.killed(remains) record_close(remains, CloseCode.ABNORMAL, "worker_killed") end

--- The handshake of this request was refused.
---@param cause string of framegate_sockets_refused_total
---@param status integer? that the client gets, if it is still there
---@param close { code: integer, reason: string }? with which the handler closes a socket that it did not accept
function Lifecycle.refused(cause, status, close)
  Counters.count(REFUSED[cause])
  if SocketLog.is_on() then
    SocketLog.write("refuse", {
      { "address", ngx.var.remote_addr },
      { "path", SocketLog.path(ngx.var.request_uri) },
      { "status", status },
      { "code", close and close.code },
      { "reason", close and close.reason },
      { "cause", cause },
    })
  end
end

return Lifecycle
