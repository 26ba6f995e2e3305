-- The names that topics may have. Answers of the handler and paths of the control API bring them.

local Utf8 = require "framegate.protocol.utf8"

local TopicName = {}

local MAX_BYTES = 255

--- The rule in words, behind "a topic is".
TopicName.RULE = ("1 to %d bytes of UTF-8"):format(MAX_BYTES)

---@param name any
---@return boolean
function TopicName.is_valid(name)
  return type(name) == "string" and name ~= "" and #name <= MAX_BYTES and Utf8.is_valid(name)
end

return TopicName
