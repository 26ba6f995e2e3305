-- Checks the names of topics, which come from answers of the handler and from paths of the control API.

local Utf8 = require "framegate.protocol.utf8"

local TopicName = {}

local MAX_BYTES = 255

--- The rule in words, to follow "a topic is".
TopicName.RULE = ("1 to %d bytes of UTF-8"):format(MAX_BYTES)

--- Whether a value is a valid name.
---@param name any
---@return boolean
function TopicName.is_valid(name)
  return type(name) == "string" and name ~= "" and #name <= MAX_BYTES and Utf8.is_valid(name)
end

return TopicName
