-- The headers of WebSocket-over-HTTP: those of the client's handshake, which all pass, and those of the protocol itself.

local Fields = require "framegate.protocol.fields"
local GripSignature = require "framegate.dispatch.grip_signature"
local ReservedHeaders = require "framegate.protocol.reserved_headers"
local WebSocketEvents = require "framegate.protocol.websocket_events"

local GripHeaders = {}

-- A client must not pretend to be the gateway.
local is_removed = ReservedHeaders.with(
  { "accept", "connection-id", "sec-websocket-extensions" },
  { "^meta%-", "^grip%-" }
)

-- A handler must not read a name or a value in another way than the gateway.
local function is_well_formed(name, value)
  local text = type(value) == "table" and table.concat(value) or value
  return Fields.is_token(name) and type(text) == "string" and not text:find("[%z\1-\8\10-\31\127]")
end

--- Names the headers of a handshake that go to the handler.
---@param headers table<string, string|string[]>
---@return string[] names in lower case
function GripHeaders.of_handshake(headers)
  local names = {}
  for name, value in pairs(headers) do
    names[#names + 1] = not is_removed(name) and is_well_formed(name, value) and name or nil
  end
  table.sort(names)
  return names
end

local HEAD = "accept: application/websocket-events\r\naccept-encoding: identity\r\n"
  .. "content-type: application/websocket-events\r\nsec-websocket-extensions: grip\r\n"
  .. "grip-feature: filter:skip-self, filter:skip-users, filter:require-sub\r\nconnection-id: "

local function meta_lines(meta)
  local lines = {}
  for name, value in pairs(meta) do
    lines[#lines + 1] = "meta-" .. name .. ": " .. value .. "\r\n"
  end
  table.sort(lines)
  return table.concat(lines)
end

--- Writes the header lines of a request, but for its length.
---@param event Event
---@param state GripState
---@return string lines
function GripHeaders.of_request(event, state)
  local connection = event.connection
  local replayed = WebSocketEvents.bytes(connection.grip and connection.grip.rest or {})
  return table.concat {
    HEAD,
    connection.id,
    "\r\ngrip-sig: ",
    GripSignature.make(),
    "\r\n",
    replayed > 0 and ("content-bytes-replayed: %d\r\n"):format(replayed) or "",
    meta_lines(state.meta),
  }
end

-- Those of an answer that the client does not get with its 101.
local KEPT_BACK = {
  ["content-length"] = true,
  ["content-type"] = true,
  ["keep-alive-interval"] = true,
  ["sec-websocket-extensions"] = true,
  ["content-bytes-accepted"] = true,
}
local SESSION = "ws-session"

--- Selects the headers of an answer that are the gateway's affair: a session may be agreed as in framegate's own protocol.
---@param headers table<string, string|string[]> names in lower case
---@return table<string, string|string[]>
function GripHeaders.of_answer(headers)
  local passed = {}
  for name, value in pairs(headers) do
    local is_own = KEPT_BACK[name] or name:find("^set%-meta%-") or name:find("^ws%-") and name ~= SESSION
    passed[name] = not is_own and value or nil
  end
  return passed
end

return GripHeaders
