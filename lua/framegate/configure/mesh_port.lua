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

local function add_listening(taken)
  for _, table_name in ipairs { "tcp", "tcp6" } do
    for port in (read("/proc/net/" .. table_name) or ""):gmatch(":(%x%x%x%x) ") do
      taken[tonumber(port, 16)] = true
    end
  end
end

-- Ports that the settings name: nginx will listen there, or a handler or a Redis of this machine that starts later.
-- Other numbers among the settings are avoided too, which costs nothing.
local function add_named(taken, value)
  if type(value) == "table" then
    for _, member in pairs(value) do
      add_named(taken, member)
    end
  elseif type(value) == "number" or type(value) == "string" then
    for number in tostring(value):gmatch("%d+") do
      taken[tonumber(number)] = true
    end
  end
end

local function random_number()
  local file = assert(io.open("/dev/urandom", "rb"))
  local a, b = file:read(2):byte(1, 2)
  file:close()
  return a * 256 + b
end

--- Chooses the port.
---@param run string the run directory
---@param settings table as Variables.read returns it
---@param random? fun(): integer a whole number from 0 to 65535; without one, from /dev/urandom
---@return integer
function MeshPort.choose(run, settings, random)
  local port, taken = kept(run), {}
  add_listening(taken)
  add_named(taken, settings)
  while not port do
    local candidate = LOWEST + (random or random_number)() % COUNT
    port = not taken[candidate] and candidate or nil
  end
  return port
end

return MeshPort
