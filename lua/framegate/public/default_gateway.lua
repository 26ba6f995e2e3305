-- Finds the default gateway of this machine. In a container that is Docker's bridge.
-- While the container's network has no IPv6, all IPv6 visitors arrive with the address of the bridge.

local DefaultGateway = {}

--- Parses the kernel's routing table.
---@param routes string the text of /proc/net/route (proc(5)): addresses in hex, the last byte first
---@return string? address IPv4; nil if there is no default gateway
function DefaultGateway.parse(routes)
  for destination, gateway in routes:gmatch("\n%S+%s+(%x+)%s+(%x+)") do
    if destination == "00000000" and gateway ~= "00000000" then
      local d, c, b, a = gateway:match("^(%x%x)(%x%x)(%x%x)(%x%x)$")
      return table.concat({ tonumber(a, 16), tonumber(b, 16), tonumber(c, 16), tonumber(d, 16) }, ".")
    end
  end
end

--- Reads the routing table of this machine.
---@return string? address IPv4; nil if there is no default gateway
function DefaultGateway.address()
  local file = io.open("/proc/net/route")
  local routes = file and file:read("*a") or ""
  if file then
    file:close()
  end
  return DefaultGateway.parse(routes)
end

return DefaultGateway
