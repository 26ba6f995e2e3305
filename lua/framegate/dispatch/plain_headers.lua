-- Headers of an answer in a batch that hold nothing but a content type, as most do. Once such headers were checked, they need
-- no further check, and it is known that the answer asks for nothing but a frame.

local MediaType = require "framegate.protocol.media_type"

local PlainHeaders = {}

local MAX_KNOWN = 100

local kinds, count = {}, 0 -- by content type

-- The content type, if the headers hold nothing else.
local function only_content_type(headers)
  local name, value = next(headers)
  return name == "content-type" and next(headers, name) == nil and value or nil
end

--- The kind of frame that a body with these headers is.
---@param headers table
---@return "text"|"binary"|nil kind nil when the headers hold more, or were not learnt
function PlainHeaders.kind(headers)
  local content_type = only_content_type(headers)
  return content_type and kinds[content_type]
end

--- Learns headers.
---@param headers table<string, string|string[]> that were checked
function PlainHeaders.learn(headers)
  local content_type = only_content_type(headers)
  local kind = type(content_type) == "string" and MediaType.kind(content_type)
  if not kind or kind == "document" or kinds[content_type] then
    return
  elseif count >= MAX_KNOWN then
    kinds, count = {}, 0
  end
  kinds[content_type], count = kind, count + 1
end

return PlainHeaders
