-- Checks the TCP ports of the settings.

local Ports = {}

--- The public ports for plain HTTP: PORTS, or PORT.
---@param settings table as Variables.read returns it
---@return integer[]
function Ports.plain(settings) return settings.PORTS[1] and settings.PORTS or { settings.PORT } end

--- Refuses a port that two settings use. nginx would accept that, and serve only the first of them.
---@param settings table in which a refused value is nil
---@param problems string[] lines are added to it
function Ports.check(settings, problems)
  local taken = {}
  local function take(name, port)
    if taken[port] == name then
      problems[#problems + 1] = ("%s=%d: expected each port once"):format(name, port)
    elseif taken[port] then
      problems[#problems + 1] = ("%s=%d: expected another port than that of %s"):format(name, port, taken[port])
    end
    taken[port] = name
  end
  if settings.PORTS and settings.PORT then
    for _, port in ipairs(Ports.plain(settings)) do
      take(settings.PORTS[1] and "PORTS" or "PORT", port)
    end
  end
  if settings.TLS_PORT and settings.TLS_CERTIFICATE ~= "" then
    take("TLS_PORT", settings.TLS_PORT)
  end
  local control = tonumber(settings.CONTROL_PORT and settings.CONTROL_PORT:match("%d+$"))
  if control then
    take("CONTROL_PORT", control)
  end
end

return Ports
