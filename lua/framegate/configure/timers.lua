-- Reads the value of TIMERS, in the way of values.lua.

local Values = require "framegate.configure.values"

local Timers = {}

local EXPECTED = "times and paths such as 10s /ws/timers/tick, 1h /ws/timers/digest"
local period_of = Values.duration(1, 86400)

-- A path is a part of ids and keys, so it has neither a query nor anything percent-encoded.
local function is_path(text) return text:find("^/[%w%-%._~/]+$") and not text:find("/%.*/") and not text:find("/%.*$") end

--- A list of timers, separated by commas: a time from 1s to 24h and a path.
---@param text string
---@return { period: integer, path: string }[]? timers `period` in milliseconds
---@return string? expected
function Timers.parse(text)
  local timers, known = {}, {}
  for entry in (text .. ","):gmatch("%s*(.-)%s*,") do
    local time, path = entry:match("^(%S+)%s+(%S+)$")
    local period = time and period_of(time)
    if not period or not is_path(path) then
      return nil, EXPECTED
    elseif known[path] then
      return nil, "each path once"
    end
    known[path] = true
    timers[#timers + 1] = { period = math.floor(period * 1000 + 0.5), path = path }
  end
  return timers
end

--- Checks that the paths are among those of sockets, where nobody else can make a request.
---@param settings table
---@param problems string[] gets a line for each path elsewhere
function Timers.check(settings, problems)
  local prefix = settings.SOCKET_PATH
  for _, timer in ipairs(prefix and settings.TIMERS or {}) do
    if timer.path:sub(1, #prefix) ~= prefix then
      problems[#problems + 1] = ("TIMERS=%s: expected a path under SOCKET_PATH (%s)"):format(timer.path, prefix)
    end
  end
end

return Timers
