-- Whether the page that a browser asks for belongs to the host that it asks (RFC 6454).

local Origin = {}

local DEFAULT_PORTS = { http = "80", ws = "80", https = "443", wss = "443" }

local function split(origin)
  local scheme, authority = origin:match("^([%w+%.%-]+)://([^/]+)$")
  if not scheme then
    return nil
  end
  local host, port = authority:match("^(%[[^%]]+%]):?(%d*)$")
  if not host then
    host, port = authority:match("^([^:]+):?(%d*)$")
  end
  return scheme, host, port
end

--- Host and port are compared with the default port of the origin's scheme filled in on both sides.
---@param origin string
---@param host_header string
---@return boolean
function Origin.is_same_host(origin, host_header)
  local scheme, host, port = split(origin:lower())
  local _, own_host, own_port = split("any://" .. host_header:lower())
  if not host or not own_host then
    return false
  end
  local default = DEFAULT_PORTS[scheme] or ""
  return host == own_host and (port ~= "" and port or default) == (own_port ~= "" and own_port or default)
end

return Origin
