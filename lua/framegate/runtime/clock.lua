-- The time of the event loop as CloudEvents writes it (RFC 3339, milliseconds, UTC).

local Clock = {}

local date, floor, format, now = os.date, math.floor, string.format, ngx.now

local second, prefix = -1, ""

---@param time number seconds since 1970
---@return string such as 2026-11-20T10:00:00.123Z
function Clock.format(time)
  local milliseconds = floor(time * 1000 + 0.5)
  local whole = floor(milliseconds / 1000)
  if whole ~= second then
    second, prefix = whole, date("!%Y-%m-%dT%H:%M:%S", whole)
  end
  return format("%s.%03dZ", prefix, milliseconds - whole * 1000)
end

---@return string now
function Clock.timestamp() return Clock.format(now()) end

return Clock
