-- Records opened, closed and refused sockets: in counters, in SOCKET_LOG and in the list of closed sockets.

local Clock = require "framegate.runtime.clock"
local Closes = require "framegate.telemetry.closes"
local Counters = require "framegate.telemetry.counters"
local ConnectionInfo = require "framegate.telemetry.connection_info"
local SocketLog = require "framegate.telemetry.socket_log"
local Traceparent = require "framegate.protocol.traceparent"

local Lifecycle = {}

---@class Closing why a socket ends
---@field code integer as its close event reports it
---@field reason string
---@field cause string of framegate_sockets_closed_total

local REFUSED = Counters.place "framegate_sockets_refused_total"
local DETACHED = Counters.place "framegate_sessions_detached_total"
local RESUMED = Counters.place "framegate_sessions_resumed_total"
local OVERFLOWED = Counters.place "framegate_sessions_overflowed_total"
local MOVED = Counters.place "framegate_sessions_moved_total"
local MOVES_FAILED = Counters.place "framegate_sessions_moves_failed_total"

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

-- Writes a line of SOCKET_LOG, with the trace of the handshake.
local function log(event, members, traceparent)
  local trace = Traceparent.read(traceparent)
  members[#members + 1] = { "trace", trace and trace.trace_id }
  SocketLog.write(event, members)
end

local function traceparent_of(connection) return connection.handshake:match("\ntraceparent: ([^\r]*)") end

--- Records a socket whose 101 is sent, unless the handler has refused it.
---@param connection Connection
function Lifecycle.opened(connection)
  if connection.is_refused then
    return
  end
  Counters.opened()
  if SocketLog.is_on() then
    local members = members_of(connection, { "compression", ConnectionInfo.compression(connection) })
    log("open", members, traceparent_of(connection))
  end
end

local function record_close(connection, traffic)
  local closing = connection.closing
  local members = members_of(
    connection,
    { "code", closing.code },
    { "reason", closing.reason },
    { "cause", closing.cause },
    { "duration", { ("%.3f"):format(Clock.monotonic() - connection:began_at()) } },
    { "frames", traffic and traffic_json(traffic.frames_in, traffic.frames_out) },
    { "bytes", traffic and traffic_json(traffic.bytes_in, traffic.bytes_out) }
  )
  Closes.add(members)
  if SocketLog.is_on() then
    log("close", members, traceparent_of(connection))
  end
end

--- Counts a socket that has come from another worker, or has gone to one.
---@param by 1|-1
function Lifecycle.moved(by) Counters.moved(by) end

--- Records the end of a socket that was open. Its `closing` holds the reason.
---@param connection Connection
function Lifecycle.closed(connection)
  Counters.closed(connection.closing.cause, connection.closing.code)
  record_close(connection, connection.traffic)
end

--- Records that a session has lost its transport.
---@param connection Connection
function Lifecycle.detached(connection)
  Counters.count(DETACHED)
  if SocketLog.is_on() then
    log("detach", members_of(connection), traceparent_of(connection))
  end
end

--- Records that a session has a transport again.
---@param connection Connection
---@param seconds number for which it had none
function Lifecycle.resumed(connection, seconds)
  Counters.count(RESUMED)
  if SocketLog.is_on() then
    local away, compression = { ("%.3f"):format(seconds) }, ConnectionInfo.compression(connection)
    local members = members_of(connection, { "away", away }, { "compression", compression })
    log("resume", members, traceparent_of(connection))
  end
end

--- Records that a session has ended because of what the clients that are away leave behind.
function Lifecycle.overflowed() Counters.count(OVERFLOWED) end

--- Records the end of a move to this worker.
---@param has_come boolean
function Lifecycle.move_ended(has_come) Counters.count(has_come and MOVED or MOVES_FAILED) end

--- Records the end of a socket whose worker was killed. counters.lua recovers the counters of that worker.
---@param orphan Orphan
function Lifecycle.killed(orphan) record_close(orphan) end

--- Records the refused handshake of this request.
---@param cause string of framegate_sockets_refused_total
---@param status integer? that the client gets, if it is still connected
---@param close { code: integer, reason: string }? the close code, if the handler refuses the socket with one
function Lifecycle.refused(cause, status, close)
  Counters.count(REFUSED[cause])
  if SocketLog.is_on() then
    log("refuse", {
      { "address", ngx.var.remote_addr },
      { "path", SocketLog.path(ngx.var.request_uri) },
      { "status", status },
      { "code", close and close.code },
      { "reason", close and close.reason },
      { "cause", cause },
    }, ngx.var.http_traceparent)
  end
end

return Lifecycle
