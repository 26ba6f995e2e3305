-- The request of a push and its answer, over a connection that stays open.

local ffi = require "ffi"

local Publishing = {}

---@param task { path: string, payload: string }
---@return string bytes of the request
function Publishing.request(task)
  return ("POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%s"):format(
    task.path,
    #task.payload,
    task.payload
  )
end

--- Adds bytes to an answer.
---@param answer string so far
---@param bytes ffi.cdata*
---@param count integer
---@return string answer so far, empty when it is complete
function Publishing.answer(answer, bytes, count)
  answer = answer .. ffi.string(bytes, count)
  local head, body = answer:match "^(.-\r\n)\r\n(.*)$"
  local length = head and head:lower():match "\r\ncontent%-length: (%d+)\r\n"
  if not length or #body < tonumber(length) then
    return answer
  end
  assert(answer:find "^HTTP/1.1 20", "a publish was answered with " .. answer)
  return ""
end

return Publishing
