-- Compares the origin of a web page (RFC 6454) with the host that receives its request.

local Origin = {}

local DEFAULT_PORTS = { http = "80", ws = "80", https = "443", wss = "443" }

local function split(origin)
  local scheme, authority = origin:match("^([%w+%.%-]+)://([^/]+)$")
  if not scheme then
    return nil
  end
  local host, rest = authority:match("^(%[[^%]]+%])(.*)$")
  if not host then
    host, rest = authority:match("^([^:]+)(.*)$")
  end
  local port = rest == "" and "" or rest and rest:match("^:(%d*)$")
  return scheme, port and host, port
end

--- Whether an origin and a Host header have the same host and port.
--- A missing port is the default of the origin's scheme.
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
