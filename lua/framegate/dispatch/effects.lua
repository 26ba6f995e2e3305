-- Effects: what a handler's answer asks the gateway to do, in the order in which it is applied.
-- This module only reads: an answer in, a list out. Each effect is a table with `kind` and the fields of that kind:
--   send {payload, is_text} · close {code, reason} · state {value} · user {value} · alarm {seconds}
--   subscribe {topics} · follow {wanted}: a subscription with history
--   unsubscribe {topics} · publish {topic, payload, is_text, except_self, replace}

local cjson = require "cjson.safe"
local Border = require "framegate.dispatch.border"
local CloseCode = require "framegate.protocol.close_code"
local MediaType = require "framegate.protocol.media_type"
local Percent = require "framegate.protocol.percent"
local Printable = require "framegate.runtime.printable"
local Publication = require "framegate.dispatch.publication"
local Subscription = require "framegate.dispatch.subscription"
local TopicName = require "framegate.protocol.topic_name"
local Utf8 = require "framegate.protocol.utf8"

local Effects = {}

local MAX_STATE = 4096 -- bytes before encoding
local MAX_USER = 255 -- bytes
local MAX_ALARM = 365 * 86400 -- seconds
local KIND_BYTES = 60 -- of an unknown effect, in a message
local TOPIC = "a topic is " .. TopicName.RULE

local function topics_effect(kind, topics)
  if not Border.is_list(topics) then
    return nil, kind .. " takes a list of topics"
  end
  for _, topic in ipairs(topics) do
    if not TopicName.is_valid(topic) then
      return nil, TOPIC
    end
  end
  return { kind = kind, topics = topics }
end

local function close_effect(code, reason)
  if type(code) ~= "number" or not CloseCode.is_sendable(code) then
    return nil, "ws-close takes the code " .. CloseCode.SENDABLE
  end
  reason = (reason == nil or reason == cjson.null) and "" or reason
  if type(reason) ~= "string" or not Utf8.is_valid(reason) then
    return nil, "the reason of a close is UTF-8"
  end
  return { kind = "close", code = code, reason = reason }
end

local function text_effect(kind, most)
  return function(value)
    if type(value) ~= "string" or #value > most or not Utf8.is_valid(value) then
      return nil, ("ws-%s is a text of at most %d bytes"):format(kind, most)
    end
    return { kind = kind, value = value }
  end
end

local state_effect, user_effect = text_effect("state", MAX_STATE), text_effect("user", MAX_USER)

local function alarm_effect(seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds <= MAX_ALARM) then
    return nil, "ws-alarm is a number of seconds from 0 to " .. MAX_ALARM
  end
  return { kind = "alarm", seconds = seconds }
end

local FROM_DOCUMENT = {
  send = function(data)
    local payload, is_text = Publication.payload(data, "send")
    if not payload then
      return nil, is_text
    end
    return { kind = "send", payload = payload, is_text = is_text }
  end,
  publish = Publication.read,
  subscribe = function(topics) return Subscription.of_list(topics) end,
  unsubscribe = function(topics) return topics_effect("unsubscribe", topics) end,
  close = function(data)
    if type(data) ~= "table" then
      return nil, "close takes a code and a reason"
    end
    return close_effect(data.code, data.reason)
  end,
  state = state_effect,
  user = user_effect,
  alarm = alarm_effect,
}

local function read_entry(entry)
  local kind, data = next(type(entry) == "table" and entry or {})
  local read = FROM_DOCUMENT[kind]
  if not read then
    return nil, " is unknown: " .. Printable.text(Printable.cut(tostring(kind), KIND_BYTES))
  end
  if next(entry, kind) ~= nil then
    return nil, ": an effect is an object with one member"
  end
  local effect, err = read(data)
  return effect, err and ": " .. err
end

local function read_document(body)
  local document = cjson.decode(body)
  local entries = type(document) == "table" and document.effects
  if not Border.is_list(entries) then
    return nil, 'an effects document is {"effects":[…]}'
  end
  local effects = {}
  for i = 1, #entries do
    local effect, err = read_entry(entries[i])
    if not effect then
      return nil, "effect " .. i .. err
    end
    effects[i] = effect
  end
  return effects
end

local function split_topics(value)
  local topics = {}
  for topic in value:gmatch("[^,%s]+") do
    topics[#topics + 1] = Percent.decode(topic)
  end
  return topics
end

local function joined(headers, name)
  local value = headers[name]
  return type(value) == "table" and table.concat(value, ",") or value
end

-- The value of a header that is no list. It must not come twice (RFC 9110 section 5.3).
local function single(headers, name)
  local value = headers[name]
  if type(value) ~= "table" then
    return value
  elseif #value > 1 then
    return nil, name .. " may be given once"
  end
  return value[1]
end

local HEADERS = {
  { "ws-unsubscribe", joined, function(value) return topics_effect("unsubscribe", split_topics(value)) end },
  { "ws-subscribe", joined, function(value) return Subscription.of_header(value) end },
  { "ws-state", single, function(value) return state_effect(Percent.decode(value)) end },
  { "ws-user", single, function(value) return user_effect(Percent.decode(value)) end },
  { "ws-alarm", single, function(value) return alarm_effect(tonumber(value:match("^%d+%.?%d*$"))) end },
}

local function read_headers(headers, effects)
  for _, header in ipairs(HEADERS) do
    local name, pick, read = unpack(header)
    local value, err, effect = pick(headers, name)
    if value then
      effect, err = read(value)
    end
    if err then
      return nil, err
    end
    effects[#effects + 1] = effect
  end
  return effects
end

local function read_close(headers)
  local value, err = single(headers, "ws-close")
  if not value then
    return nil, err
  end
  local code, reason = value:match("^%s*(%d+)%f[%s%z]%s*(.*)$")
  return close_effect(tonumber(code), Percent.decode(reason or ""))
end

-- An empty body is a frame if the handler set a content type on purpose.
-- PHP, Django and Flask send text/html by default, even with an empty body.
local function is_frame(answer, content_type)
  if answer.body ~= "" then
    return true
  end
  local has_content = answer.status >= 200 and answer.status < 300 and answer.status ~= 204
  return has_content and content_type ~= "" and not content_type:lower():find("^text/html")
end

local function read_body(answer, content_type)
  if not is_frame(answer, content_type) then
    return nil
  end
  local is_text = MediaType.kind(content_type) == "text"
  if is_text and not Utf8.is_valid(answer.body) then
    return nil, "the body of an answer with a text content type is UTF-8"
  end
  return { kind = "send", payload = answer.body, is_text = is_text }
end

local function read_answer(answer)
  local headers = answer.headers
  local content_type = joined(headers, "content-type") or ""
  if MediaType.kind(content_type) == "document" then
    return read_document(answer.body)
  end
  local effects, err = read_headers(headers, {})
  if not effects then
    return nil, err
  end
  local close, close_err = read_close(headers)
  if close_err then
    return nil, close_err
  end
  local is_success = answer.status >= 200 and answer.status < 300
  if is_success or not close then
    local frame, frame_err = read_body(answer, content_type)
    if frame_err then
      return nil, frame_err
    end
    effects[#effects + 1] = frame
  end
  effects[#effects + 1] = close
  return effects
end

--- Reads the effects of an answer.
---@param answer Answer header names in lower case
---@return table[]? effects
---@return string? err what is wrong with the answer, in words
function Effects.read(answer)
  if answer.effects then
    return answer.effects
  end
  local effects, err = read_answer(answer)
  return effects and Subscription.put_last(effects), err
end

--- Leaves out the frames that go to the client.
---@param effects table[]
---@return table[]
function Effects.without_frames(effects)
  local others = {}
  for _, effect in ipairs(effects) do
    others[#others + 1] = effect.kind ~= "send" and effect or nil
  end
  return others
end

return Effects
