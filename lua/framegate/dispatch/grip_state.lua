-- What a handler has agreed with the gateway about a socket, in GRIP. It is the state of the socket, as JSON, so it is in the
-- socket's record and goes where the socket goes.

local cjson = require "cjson.safe"
local Percent = require "framegate.protocol.percent"

local GripState = {}

---@class GripState
---@field meta table<string, string> values of Set-Meta-*, by name in lower case
---@field interval integer? seconds between two requests without events, of Keep-Alive-Interval
---@field prefix string? in front of each message for the client, since the handler has accepted with the extension `grip`
---@field detached "asked"|"done"|nil whether the handler has detached; "done" when it has got its last request

--- Bytes of a state.
GripState.MOST = 4096

--- Reads a state.
---@param text string? percent-encoded; nil for a new socket
---@return GripState
function GripState.read(text)
  local state = text and cjson.decode(Percent.decode(text)) or {}
  state.meta = state.meta or {}
  return state
end

--- Writes a state.
---@param state GripState
---@return string? text nil if it is too long
---@return string? err in words
function GripState.write(state)
  local text = cjson.encode(state)
  if #text > GripState.MOST then
    return nil, ("what it has set with set-meta-* has more than %d bytes"):format(GripState.MOST)
  end
  return text
end

return GripState
