-- The label values of the series of a metric, and the bounds of those that count seconds.

local LabelSets = {}

LabelSets.SECONDS = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30 }

-- The codes that each cause may have. Codes that a client or a handler chooses are grouped.
local CLOSES = {
  { "client", { "1000", "1001", "1005", "3xxx", "4xxx", "other" } },
  { "handler", { "1000", "1006", "1008", "3xxx", "4xxx", "other" } },
  { "control", { "1000", "3xxx", "4xxx", "other" } },
  { "lost", { "1006" } },
  { "idle", { "1006" } },
  { "slow_message", { "1008" } },
  { "protocol", { "1002", "1007" } },
  { "too_large", { "1009" } },
  { "overflow", { "1013" } },
  { "stop", { "1001" } },
  { "reload", { "1012" } },
  { "worker_killed", { "1006" } },
  { "buried", { "1012" } },
}

--- One series for each value of one label.
---@param values string[]
---@return string[][] sets
function LabelSets.singly(values)
  local sets = {}
  for i, value in ipairs(values) do
    sets[i] = { value }
  end
  return sets
end

--- One series for each pair of values of two labels.
---@param firsts string[]
---@param seconds string[]
---@return string[][] sets
function LabelSets.product(firsts, seconds)
  local sets = {}
  for _, first in ipairs(firsts) do
    for _, second in ipairs(seconds) do
      sets[#sets + 1] = { first, second }
    end
  end
  return sets
end

--- The series of framegate_sockets_closed_total: its cause and code.
---@return string[][] sets
function LabelSets.closes()
  local sets = {}
  for _, close in ipairs(CLOSES) do
    for _, code in ipairs(close[2]) do
      sets[#sets + 1] = { close[1], code }
    end
  end
  return sets
end

return LabelSets
