-- Which topics are kept (HISTORY), and how much of each.

local KeptTopics = {}

---@class HistoryRule : HistoryBounds
---@field prefix string of the names of topics

--- Finds the rule of a topic.
---@param rules HistoryRule[] the longest prefix first
---@param topic string
---@return HistoryRule? rule nil when the topic is not kept
function KeptTopics.rule_of(rules, topic)
  for _, rule in ipairs(rules) do
    if topic:sub(1, #rule.prefix) == rule.prefix then
      return rule
    end
  end
end

return KeptTopics
