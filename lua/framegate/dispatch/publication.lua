-- Reads the frames in an effects document: those for the socket itself, and those for the subscribers of a topic.

local cjson = require "cjson.safe"
local TopicName = require "framegate.protocol.topic_name"
local Utf8 = require "framegate.protocol.utf8"

local Publication = {}

--- Reads a frame: {"text":"…"} or {"base64":"…"}.
---@param data any
---@param what string name of the effect, for messages
---@return string? payload
---@return boolean|string is_text or what is wrong
function Publication.payload(data, what)
  if type(data) == "table" and type(data.text) == "string" then
    if not Utf8.is_valid(data.text) then
      return nil, what .. ".text is UTF-8"
    end
    return data.text, true
  end
  local bytes = type(data) == "table" and type(data.base64) == "string" and ngx.decode_base64(data.base64)
  if not bytes then
    return nil, what .. " needs text or base64"
  end
  return bytes, false
end

local function optional(value)
  if value ~= cjson.null then
    return value
  end
end

--- Reads {"topic":"…","text" or "base64":"…","except":"self","replace":"…"}.
---@param data any
---@return table? effect
---@return string? err
function Publication.read(data)
  local payload, is_text = Publication.payload(data, "publish")
  if not payload then
    return nil, is_text
  end
  local except, replace = optional(data.except), optional(data.replace)
  if not TopicName.is_valid(data.topic) then
    return nil, "a topic is " .. TopicName.RULE
  elseif except ~= nil and except ~= "self" then
    return nil, 'publish.except is "self"'
  elseif replace ~= nil and not TopicName.is_valid(replace) then
    return nil, "publish.replace is " .. TopicName.RULE
  end
  return {
    kind = "publish",
    topic = data.topic,
    payload = payload,
    is_text = is_text,
    except_self = except == "self",
    replace = replace,
  }
end

return Publication
