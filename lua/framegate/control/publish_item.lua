-- One item of POST /publish, as publishers of GRIP send it: a channel, and what its subscribers get.
-- Only its format for WebSockets counts. The formats for HTTP belong to requests that Pushpin holds, which framegate does not.

local cjson = require "cjson.safe"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local TopicName = require "framegate.protocol.topic_name"
local Utf8 = require "framegate.protocol.utf8"

local PublishItem = {}

---@class PublishItem
---@field channel string
---@field id string? a repeat within 60 s is not published again
---@field previous string? id of the item that comes before it
---@field has_no_order boolean whether it waits for no other, and no other for it
---@field meta table<string, string>? for filters
---@field action "send"|"close"|"refresh"|nil nil for an item that no socket gets
---@field payload string?
---@field is_text boolean?
---@field code integer? of close
---@field reason string?

local FORMATS = { "ws-message", "http-stream", "http-response" }

local function is_object(value) return type(value) == "table" and value[1] == nil end

-- A member that may be left out.
local function optional(object, name)
  local value = object[name]
  if value == cjson.null then
    return nil
  end
  return value
end

local function payload_of(format)
  local content, base64, kind = optional(format, "content"), optional(format, "content-bin"), optional(format, "type")
  if kind ~= nil and kind ~= "text" and kind ~= "binary" then
    return nil, "type is text or binary: the gateway sends pings itself"
  elseif optional(format, "content-filters") ~= nil then
    return nil, "content-filters are not supported"
  end
  local payload = content
  if base64 ~= nil then
    payload = type(base64) == "string" and ngx.decode_base64(base64)
  end
  if type(payload) ~= "string" then
    return nil, "content is a text, or content-bin a text in base64"
  end
  local is_text = kind == "text" or kind == nil and base64 == nil
  if is_text and not Utf8.is_valid(payload) then
    return nil, "the content of a text is UTF-8"
  elseif #payload > Config.MAX_MESSAGE_BYTES then
    return nil, ("a frame may have %d bytes at most (MAX_MESSAGE_BYTES)"):format(Config.MAX_MESSAGE_BYTES), 413
  end
  return payload, is_text
end

local ACTIONS = {
  send = function(item, format)
    local payload, is_text, status = payload_of(format)
    if not payload then
      return is_text, status
    end
    item.payload, item.is_text = payload, is_text
  end,
  close = function(item, format)
    local code, reason = optional(format, "code"), optional(format, "reason") or ""
    if code ~= nil and type(code) ~= "number" or type(reason) ~= "string" or not Utf8.is_valid(reason) then
      return "code is a number, and reason a text"
    end
    item.code, item.reason =
      code and code % 1 == 0 and CloseCode.is_receivable(code) and code or CloseCode.NORMAL, reason
  end,
  refresh = function() end,
  hint = function() end,
}

local NOT_FOR_SOCKETS = { hint = true }

local function read_format(item, format)
  if not is_object(format) then
    return "a format is an object"
  end
  local action = optional(format, "action") or "send"
  local read = ACTIONS[action]
  if not read then
    return "action is send, close, refresh or hint"
  end
  item.action = not NOT_FOR_SOCKETS[action] and action or nil
  return read(item, format)
end

local function has_any(formats)
  for _, name in ipairs(FORMATS) do
    if optional(formats, name) ~= nil then
      return true
    end
  end
  return false
end

local function read_formats(item, entry)
  local formats = optional(entry, "formats")
  if formats == nil then
    formats = entry -- as older publishers write them
  end
  if not is_object(formats) or not has_any(formats) then
    return "no formats specified"
  end
  local format = optional(formats, FORMATS[1])
  if format ~= nil then
    return read_format(item, format)
  end
end

local function read_meta(item, entry)
  local meta = optional(entry, "meta")
  if meta == nil then
    return nil
  elseif not is_object(meta) then
    return "meta is an object"
  end
  for _, value in pairs(meta) do
    if type(value) ~= "string" then
      return "the values of meta are texts"
    end
  end
  item.meta = next(meta) and meta or nil
end

local function read_ids(item, entry)
  local id, previous = optional(entry, "id"), optional(entry, "prev-id")
  if id ~= nil and type(id) ~= "string" or previous ~= nil and type(previous) ~= "string" then
    return "id and prev-id are texts"
  end
  item.id, item.previous, item.has_no_order = id, previous, optional(entry, "no-seq") == true
end

--- Reads an item.
---@param entry any of the list, as JSON has it
---@return PublishItem? item
---@return string? err what is wrong with it, in words
---@return integer? status of HTTP; nil for 400
function PublishItem.read(entry)
  if not is_object(entry) then
    return nil, "an item is an object"
  elseif not TopicName.is_valid(entry.channel) then
    return nil, "channel is " .. TopicName.RULE
  end
  local item = { channel = entry.channel }
  local err, status = read_ids(item, entry)
  if not err then
    err, status = read_meta(item, entry)
  end
  if not err then
    err, status = read_formats(item, entry)
  end
  return not err and item or nil, err, status
end

return PublishItem
