-- The settings inside nginx, read from run/settings.json.
-- configure.lua has checked the environment and written that file; a reload reads nothing else.

local Config = {}

--- The settings of this nginx, read once from run/settings.json. A misspelt name is an error.
---@param prefix string the run directory, as `ngx.config.prefix()` gives it
---@return table settings
function Config.load(prefix)
  local file = assert(io.open(prefix .. "/settings.json"))
  local settings = require("cjson.safe").decode(file:read("*a"))
  file:close()
  for name, value in pairs(settings) do
    Config[name] = value
  end
  return setmetatable(Config, {
    __index = function(_, name) error("no such setting: " .. tostring(name), 2) end,
  })
end

return Config
