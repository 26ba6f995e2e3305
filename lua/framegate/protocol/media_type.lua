-- Classifies a body by its content type (RFC 9110 section 8.3): text, binary, or a document of effects.

local MediaType = {}

local DOCUMENT = "application/vnd.framegate.effects+json"
local MAX_KNOWN = 100

local known, count = {}, 0

local function read(content_type)
  content_type = content_type:lower()
  if content_type:find(DOCUMENT, 1, true) == 1 then
    return "document"
  end
  local is_text = content_type:find("^text/")
    or content_type:find("^application/json%s*$")
    or content_type:find("^application/json%s*;")
    or content_type:find("^application/[%w%.%-]+%+json")
  return is_text and "text" or "binary"
end

--- The kind of a content type. Most bodies have one of a few, so results are cached.
---@param content_type string the value of the header
---@return "text"|"binary"|"document"
function MediaType.kind(content_type)
  local kind = known[content_type]
  if not kind then
    if count >= MAX_KNOWN then
      known, count = {}, 0
    end
    kind = read(content_type)
    known[content_type], count = kind, count + 1
  end
  return kind
end

return MediaType
