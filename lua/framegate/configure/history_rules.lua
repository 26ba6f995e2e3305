-- Reads HISTORY, in the way of values.lua: which topics are kept, by prefix, and how much of them.

local Values = require "framegate.configure.values"

local HistoryRules = {}

local MAX_FRAMES = 100000
local EXPECTED = "rules such as chat:=100/10m (prefix=frames/time), separated by commas or white space, "
  .. ("with 1 to %d frames and 1s to 720h"):format(MAX_FRAMES)

local frames_of, seconds_of = Values.integer(1, MAX_FRAMES), Values.duration(1, 720 * 3600)

local function rule(text)
  local prefix, frames, seconds = text:match("^(.*)=(%d+)/(%w[%w%.]*)$")
  frames, seconds = frames and frames_of(frames), seconds and seconds_of(seconds)
  if not prefix or not frames or not seconds then
    return nil, EXPECTED
  end
  return { prefix = prefix, frames = frames, seconds = seconds }
end

local rules_of = Values.list(rule)

local function longer(a, b) return #a.prefix > #b.prefix end

--- Reads the rules.
---@param text string
---@return { prefix: string, frames: integer, seconds: number }[]? rules the longest prefix first
---@return string? expected
function HistoryRules.parse(text)
  local rules, expected = rules_of(text)
  if not rules then
    return nil, expected
  end
  local seen = {}
  for _, one in ipairs(rules) do
    if seen[one.prefix] then
      return nil, EXPECTED .. ", each prefix once"
    end
    seen[one.prefix] = true
  end
  table.sort(rules, longer)
  return rules
end

return HistoryRules
