-- Control messages of GRIP: what a handler asks for in a text that begins with "c:", as JSON.
-- Such a text never reaches the client. One that is wrong is passed over, as in Pushpin, and logged.

local cjson = require "cjson.safe"
local Log = require "framegate.runtime.log"
local TopicName = require "framegate.protocol.topic_name"
local TraceContext = require "framegate.telemetry.trace_context"
local Utf8 = require "framegate.protocol.utf8"

local GripControl = {}

local MAX_BYTES = 16384 -- of a message
local MAX_FILTERS = 5
local MAX_SECONDS = 365 * 86400
local MAX_CONTROL_FRAME = 125
local KEEP_ALIVE_SECONDS, DELAY_SECONDS = 55, 1
local IS_KIND = { text = true, binary = true, ping = true, pong = true }

local function add(run, effect) run.effects[#run.effects + 1] = effect end

local function channel_of(fields)
  if not TopicName.is_valid(fields.channel) then
    return nil, "a channel is " .. TopicName.RULE
  end
  return fields.channel
end

local function filters_of(fields)
  local filters = fields.filters or {}
  if type(filters) ~= "table" or #filters > MAX_FILTERS then
    return nil, ("filters are a list of %d at most"):format(MAX_FILTERS)
  end
  for _, filter in ipairs(filters) do
    if type(filter) ~= "string" then
      return nil, "a filter is a text"
    end
  end
  return filters
end

local function subscribe(run, fields)
  local channel, err = channel_of(fields)
  if not channel then
    return err
  end
  local filters, filters_err = filters_of(fields)
  if not filters then
    return filters_err
  end
  add(run, { kind = "subscribe", topics = { channel } })
  add(run, { kind = "filter", topic = channel, filters = filters })
end

local function unsubscribe(run, fields)
  local channel, err = channel_of(fields)
  if not channel then
    return err
  end
  add(run, { kind = "unsubscribe", topics = { channel } })
  add(run, { kind = "filter", topic = channel, filters = {} })
end

local function detach(run)
  run.state.detached, run.has_changed = "asked", true
end

local function set_meta(run, fields)
  local name, value = fields.name, fields.value
  if type(name) ~= "string" or name == "" or value ~= nil and type(value) ~= "string" then
    return "set-meta takes a name and a value, which are texts"
  end
  add(run, { kind = "filter_meta", name = name, value = value })
end

-- The message that the gateway sends later; nil without content.
local function message_of(fields)
  local kind, content = fields["message-type"] or "text", fields.content
  if fields["content-bin"] ~= nil then
    local base64 = fields["content-bin"]
    content = type(base64) == "string" and ngx.decode_base64(base64) or false
  end
  if content == nil then
    return nil
  elseif not IS_KIND[kind] or type(content) ~= "string" then
    return nil, "content is a text, content-bin a text in base64, message-type text, binary, ping or pong"
  elseif kind == "text" and not Utf8.is_valid(content) then
    return nil, "the content of a text is UTF-8"
  elseif (kind == "ping" or kind == "pong") and #content > MAX_CONTROL_FRAME then
    return nil, "a ping or pong holds 125 bytes at most"
  end
  return { kind = kind, payload = content }
end

local function seconds_of(fields, default)
  local seconds = fields.timeout == nil and default or tonumber(fields.timeout)
  return seconds and seconds >= 0 and seconds <= MAX_SECONDS and seconds or nil
end

local function later(kind, default)
  return function(run, fields)
    local message, err = message_of(fields)
    local seconds = seconds_of(fields, default)
    if err or not seconds then
      return err or "timeout is a number of seconds"
    end
    add(run, { kind = kind, message = message, seconds = seconds, is_interval = fields.mode == "interval" })
  end
end

local READ = {
  subscribe = subscribe,
  unsubscribe = unsubscribe,
  detach = detach,
  ["set-meta"] = set_meta,
  ["keep-alive"] = later("keep_alive", KEEP_ALIVE_SECONDS),
  ["send-delayed"] = later("delay", DELAY_SECONDS),
  ["flush-delayed"] = function(run) add(run, { kind = "flush" }) end,
}

local function fields_of(text)
  local fields = #text <= MAX_BYTES and cjson.decode(text) or nil
  if type(fields) ~= "table" then
    return {}
  end
  for name, value in pairs(fields) do
    fields[name] = value ~= cjson.null and value or nil
  end
  return fields
end

--- Reads a control message, and adds its effects to those of its answer.
---@param run GripRun
---@param text string behind "c:"
function GripControl.read(run, text)
  local fields = fields_of(text)
  local read = type(fields.type) == "string" and READ[fields.type]
  local err = not read and "its type is unknown, or it is not JSON" or read and read(run, fields)
  if err then
    Log.limited(
      Log.warn,
      "grip control",
      TraceContext.label(run.event),
      "a control message of GRIP was passed over: ",
      err
    )
  end
end

return GripControl
