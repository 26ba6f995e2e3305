-- The default gateway of this machine. In a container that is Docker's bridge, under whose address Docker hands on the
-- visitors that it cannot hand on as they came: all of IPv6, while the container's network has none.

local DefaultGateway = {}

--- Reads the kernel's table of routes.
---@param routes string as /proc/net/route has it (proc(5)): addresses in hex, the last byte first
---@return string? address of IPv4
function DefaultGateway.parse(routes)
  for destination, gateway in routes:gmatch("\n%S+%s+(%x+)%s+(%x+)") do
    if destination == "00000000" and gateway ~= "00000000" then
      local d, c, b, a = gateway:match("^(%x%x)(%x%x)(%x%x)(%x%x)$")
      return table.concat({ tonumber(a, 16), tonumber(b, 16), tonumber(c, 16), tonumber(d, 16) }, ".")
    end
  end
end

---@return string? address of IPv4; nil where there is none
function DefaultGateway.address()
  local file = io.open("/proc/net/route")
  local routes = file and file:read("*a") or ""
  if file then
    file:close()
  end
  return DefaultGateway.parse(routes)
end

return DefaultGateway
