-- What an answer in WebSocket-over-HTTP asks the gateway to do, as effects. Beside those of effects.lua there are:
--   drop: ends the socket without a close frame · rest {events}: content that the handler takes later
--   control {name, payload}: a ping or pong · filter {topic, filters} · filter_meta {name, value}
--   keep_alive {message, seconds, is_interval} · delay {message, seconds} · flush: messages that the gateway sends later

local CloseCode = require "framegate.protocol.close_code"
local GripControl = require "framegate.dispatch.grip_control"
local GripState = require "framegate.dispatch.grip_state"
local Utf8 = require "framegate.protocol.utf8"

local GripEffects = {}

local LEAST_INTERVAL = 20 -- seconds, as Pushpin has it
local DEFAULT_PREFIX = "m:"
local CONTROL = "c:"
local SOON = 0.001 -- seconds
local MAX_CONTROL_FRAME = 125 -- bytes of the payload of a ping (RFC 6455 section 5.5)

---@class GripRun one answer while it is read
---@field event Event
---@field state GripState as the answer changes it
---@field effects table[]
---@field was_polled boolean whether it had a Keep-Alive-Interval
---@field has_changed boolean? whether the state has changed
---@field is_over boolean? whether what follows does not count

local function add(run, effect) run.effects[#run.effects + 1] = effect end

local function last_of(value) return type(value) == "table" and value[#value] or value end

-- `grip` or `grip; message-prefix="x"`, perhaps among others. Returns the prefix of messages, nil without the extension.
local function prefix_of(extensions)
  local text = type(extensions) == "table" and table.concat(extensions, ",") or extensions or ""
  local parameters = (text .. ","):match("^%s*grip%s*([;,].*)$") or (text .. ","):match(",%s*grip%s*([;,].*)$")
  if not parameters then
    return nil
  end
  local quoted = parameters:gsub("\\(.)", function(character) return ("\1%d\2"):format(character:byte()) end)
  local prefix = quoted:match('^;%s*message%-prefix="([^"]*)"') or quoted:match("^;%s*message%-prefix=([^;,%s]*)")
  return prefix and prefix:gsub("\1(%d+)\2", function(code) return string.char(tonumber(code)) end) or DEFAULT_PREFIX
end

local function read_meta(run, headers)
  local meta = run.state.meta
  for name, value in pairs(headers) do
    local key, text = name:match("^set%-meta%-(.+)$"), last_of(value)
    if key and (meta[key] or "") ~= text then
      meta[key], run.has_changed = text ~= "" and text or nil, true
    end
  end
end

local function read_headers(run, headers)
  local state, interval = run.state, last_of(headers["keep-alive-interval"])
  if interval then
    local seconds = tonumber(interval:match("^%s*(%d+)%s*$")) or 0
    state.interval = seconds > 0 and math.max(seconds, LEAST_INTERVAL) or nil
    run.has_changed = true
  end
  if run.event.kind == "open" then
    state.prefix = prefix_of(headers["sec-websocket-extensions"])
    run.has_changed = run.has_changed or state.prefix ~= nil
  end
  read_meta(run, headers)
end

local function message(run, content, is_text)
  local prefix = run.state.prefix
  if prefix and is_text and content:sub(1, #CONTROL) == CONTROL then
    return GripControl.read(run, content:sub(#CONTROL + 1))
  elseif prefix and content:sub(1, #prefix) ~= prefix then
    return
  end
  local payload = prefix and content:sub(#prefix + 1) or content
  if is_text and not Utf8.is_valid(payload) then
    return "a TEXT of it is not UTF-8"
  end
  add(run, { kind = "send", payload = payload, is_text = is_text })
end

local function control(name)
  return function(run, content)
    if #content <= MAX_CONTROL_FRAME then
      add(run, { kind = "control", name = name, payload = content })
    end
  end
end

-- Libraries write the code 0 for none.
local function close(run, content)
  local high, low = content:byte(1, 2)
  local code = low and high * 256 + low
  local reason = content:sub(3)
  if code and not CloseCode.is_receivable(code) then
    code = CloseCode.NORMAL
  end
  add(run, { kind = "close", code = code, reason = Utf8.is_valid(reason) and reason or "" })
  run.is_over = true
end

local function drop(run)
  add(run, { kind = "drop" })
  run.is_over = true
end

local TAKE = {
  TEXT = function(run, content) return message(run, content, true) end,
  BINARY = function(run, content) return message(run, content, false) end,
  PING = control "ping",
  PONG = control "pong",
  CLOSE = close,
  DISCONNECT = drop,
  OPEN = drop,
}

-- Takes the events from `first` on. Returns what is wrong.
local function take_events(run, events, first)
  for i = first, #events do
    local take = TAKE[events[i].type]
    local err = take and take(run, events[i].content or "")
    if err or run.is_over then
      return err
    end
  end
end

-- When the handler is asked next without a message of the client.
local function next_request(run)
  local state = run.state
  if state.detached then
    return { kind = "alarm", seconds = state.detached == "asked" and SOON or 0 }
  elseif state.interval then
    return { kind = "alarm", seconds = state.interval }
  end
  return run.was_polled and { kind = "alarm", seconds = 0 } or nil
end

local function finish(run, rest)
  local text, err
  if run.has_changed then
    text, err = GripState.write(run.state)
    if not text then
      return nil, err
    end
    table.insert(run.effects, 1, { kind = "state", value = text })
  end
  if rest[1] or (run.event.connection.grip or {}).rest then
    add(run, { kind = "rest", events = rest[1] and rest or nil })
  end
  add(run, not run.is_over and next_request(run) or nil)
  return run.effects
end

--- Reads the effects of an answer.
---@param event Event that it answers
---@param answer { headers: table<string, string|string[]>, events: WebSocketEvent[], rest: WebSocketEvent[] }
---@return table[]? effects
---@return string? err what is wrong with the answer, in words
function GripEffects.of(event, answer)
  local state = GripState.read(event.state)
  local run = { event = event, state = state, effects = {}, was_polled = state.interval ~= nil }
  if event.kind == "close" then
    return {}
  elseif state.detached == "asked" then
    state.detached, run.has_changed = "done", true
    return finish(run, {})
  end
  local is_open = event.kind == "open"
  if is_open and (not answer.events[1] or answer.events[1].type ~= "OPEN") then
    return nil, "its first event is not OPEN"
  end
  read_headers(run, answer.headers)
  local err = take_events(run, answer.events, is_open and 2 or 1)
  if err then
    return nil, err
  end
  return finish(run, answer.rest)
end

return GripEffects
