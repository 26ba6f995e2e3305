-- Public description of a connection: it contains nothing secret.

local Clock = require "framegate.runtime.clock"
local PermessageDeflate = require "framegate.protocol.permessage_deflate"
local SocketLog = require "framegate.telemetry.socket_log"

local ConnectionInfo = {}

--- The client's address, as nginx sees it or a trusted proxy forwards it.
---@param connection Connection
---@return string
function ConnectionInfo.address(connection) return connection.handshake:match("\r\nx%-forwarded%-for: ([^\r]*)") end

--- The client's program, as its handshake names it.
---@param connection Connection
---@return string?
function ConnectionInfo.agent(connection) return connection.handshake:match("\r\nuser%-agent: ([^\r]*)") end

--- When something came from the client last, in RFC 3339 format.
---@param connection Connection
---@return string
function ConnectionInfo.active(connection)
  local traffic = connection.traffic
  return Clock.format(traffic.opened + traffic.last_read - traffic.opened_at)
end

--- How the client connected, if not with a WebSocket.
---@param connection Connection
---@return "sse"|nil
function ConnectionInfo.transport(connection) return connection.handshake:match("\r\nce%-transport: (%l+)") end

--- The extension with which its messages are compressed now, if its client has negotiated one.
---@param connection Connection
---@return string?
function ConnectionInfo.compression(connection)
  local transport = connection.outbox.transport
  return transport and transport.compression and PermessageDeflate.NAME or nil
end

-- A query may contain tokens, so it is shown only on request.
local function path_of(connection, has_query)
  return has_query and SocketLog.printable(connection.path) or SocketLog.path(connection.path)
end

-- What a session shows of itself. `away` is how long its client has been away, and absent while it is there.
local function session_of(session, now)
  return session
    and {
      keep = session.keep,
      away = session.detached_at and math.floor(now - session.detached_at),
      unacknowledged = session.ring:unconfirmed(),
    }
end

--- Describes a connection for the control API. `age` and `idle` are in seconds, `opened` is in RFC 3339 format.
--- `outbox` is in bytes, and `bytes` counts payload only.
--- An empty list of `topics` may become an empty object between workers; write it with Json.array.
---@param connection Connection
---@param has_query boolean? whether the path includes its query
---@return table
function ConnectionInfo.of(connection, has_query)
  local topics = {}
  for i, topic in ipairs(connection.topics or {}) do
    topics[i] = topic
  end
  table.sort(topics)
  local traffic, now = connection.traffic, Clock.monotonic()
  return {
    id = connection.id,
    user = connection.user,
    address = ConnectionInfo.address(connection),
    path = path_of(connection, has_query),
    transport = ConnectionInfo.transport(connection),
    compression = ConnectionInfo.compression(connection),
    topics = topics,
    opened = Clock.format(traffic.opened),
    age = math.floor(now - traffic.opened_at),
    idle = math.floor(now - traffic.last_read),
    outbox = connection.outbox.bytes,
    frames = { ["in"] = traffic.frames_in, out = traffic.frames_out },
    bytes = { ["in"] = traffic.bytes_in, out = traffic.bytes_out },
    session = session_of(connection.session, now),
  }
end

return ConnectionInfo
