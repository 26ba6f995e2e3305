-- Chooses a free port for the mesh. It stays the same across reloads, so that old and new workers can link.

local cjson = require "cjson"

local MeshPort = {}

local LOWEST, COUNT = 10000, 20000 -- below the ports that the kernel gives to clients

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a")
  if file then
    file:close()
  end
  return text
end

-- The port of the running gateway. There is none if a full disk left the file empty.
local function kept(run)
  local pid = (read(run .. "/nginx.pid") or ""):match("^%d+")
  local is_read, settings = pcall(cjson.decode, read(run .. "/settings.json") or "")
  if is_read and type(settings) == "table" and pid and read("/proc/" .. pid .. "/stat") then
    return settings.mesh_port
  end
end

-- The ports on which somebody listens, and those on which this gateway will.
local function taken_ports(own)
  local taken = {}
  for port in pairs(own) do
    taken[port] = true
  end
  for _, table_name in ipairs { "tcp", "tcp6" } do
    for port in (read("/proc/net/" .. table_name) or ""):gmatch(":(%x%x%x%x) ") do
      taken[tonumber(port, 16)] = true
    end
  end
  return taken
end

--- Chooses the port.
---@param run string the run directory
---@param own table<integer, any> the other ports of this gateway
---@return integer
function MeshPort.choose(run, own)
  local port, taken = kept(run), taken_ports(own)
  local random = io.open("/dev/urandom", "rb")
  while not port do
    local a, b = random:read(2):byte(1, 2)
    local candidate = LOWEST + (a * 256 + b) % COUNT
    port = not taken[candidate] and candidate or nil
  end
  random:close()
  return port
end

return MeshPort
