-- A message between nodes: one line of JSON, then the payload as it is.

local cjson = require "cjson.safe"

local Message = {}

---@param head table
---@param payload string
---@return string
function Message.encode(head, payload) return cjson.encode(head) .. "\n" .. payload end

--- Splits a message that `encode` made.
---@param text string
---@return string? head JSON; nil when it is not a message
---@return string? payload
function Message.split(text)
  local line_end = text:find("\n", 1, true)
  if line_end then
    return text:sub(1, line_end - 1), text:sub(line_end + 1)
  end
end

---@param text string
---@return table? head nil when it is not a message
---@return string? payload
function Message.decode(text)
  local line, payload = Message.split(text)
  local head = line and cjson.decode(line)
  if type(head) ~= "table" then
    return nil
  end
  return head, payload
end

return Message
