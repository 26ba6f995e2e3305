-- Reads HANDSHAKE_HEADERS: headers of a handshake that events carry besides those that always pass.

local ClusterValues = require "framegate.configure.cluster_values"
local PASSED = require "framegate.protocol.passed_headers"
local ReservedHeaders = require "framegate.protocol.reserved_headers"

local HandshakeHeaders = {}

local EXPECTED = "names of headers, separated by commas, or off; none that belongs to one connection or that the gateway "
  .. "sets itself: host, connection, forwarded, accept-encoding, content-*, x-forwarded-*, sec-websocket-*, "
  .. "webhook-*, framegate-*, ce-*, ws-*"

local is_reserved = ReservedHeaders.with({ "x-real-ip" }, { "^ws%-", "^sec%-websocket%-" })

--- Reads a list of header names; `off` is an empty one. Those that pass anyway are left out, and so are repeats.
---@param text string
---@return string[]? names in lower case
---@return string? expected in words
function HandshakeHeaders.parse(text)
  local names, has, own = ClusterValues.headers(text), {}, {}
  for _, name in ipairs(PASSED) do
    has[name] = true
  end
  for _, name in ipairs(names or {}) do
    if not has[name] and is_reserved(name) then
      return nil, EXPECTED
    elseif not has[name] then
      has[name], own[#own + 1] = true, name
    end
  end
  return names and own, not names and EXPECTED or nil
end

return HandshakeHeaders
