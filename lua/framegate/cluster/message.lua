-- A message between nodes: one line of JSON, then the payload as it is.

local cjson = require "cjson.safe"

local Message = {}

---@param head table
---@param payload string
---@return string
function Message.encode(head, payload) return cjson.encode(head) .. "\n" .. payload end

---@param text string
---@return table? head nil when it is not a message
---@return string? payload
function Message.decode(text)
  local line_end = text:find("\n", 1, true)
  local head = line_end and cjson.decode(text:sub(1, line_end - 1))
  if type(head) ~= "table" then
    return nil
  end
  return head, text:sub(line_end + 1)
end

return Message
