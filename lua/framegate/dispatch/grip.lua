-- The dialect of backends that ran behind Pushpin: WebSocket-over-HTTP, with GRIP on top of it.
-- An event is a POST whose body has the events of that protocol (protocol/websocket_events.lua), and so has its answer.
-- grip_effects.lua reads what these ask for. docs/from-pushpin.md lists what is different from Pushpin.

local Answer = require "framegate.dispatch.answer"
local Border = require "framegate.dispatch.border"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local GripEffects = require "framegate.dispatch.grip_effects"
local GripHeaders = require "framegate.dispatch.grip_headers"
local GripState = require "framegate.dispatch.grip_state"
local Log = require "framegate.runtime.log"
local TraceContext = require "framegate.telemetry.trace_context"
local WebSocketEvents = require "framegate.protocol.websocket_events"

local Grip = {}

local TYPE = "application/websocket-events"
local NOTHING = {}
local OK = 200
local EVENT_BYTES = 64 -- that an event besides the first counts, as content that was not accepted

Grip.HAS_ERROR_FRAMES, Grip.IS_POLLED = false, true
Grip.headers = GripHeaders.of_handshake

--- Finds no answer that streams: an answer is a list of events.
function Grip.stream() return nil end

-- The content of CLOSE. Libraries read a code only if nothing is behind it, so the gateway's own reasons are left out.
local function close_of(ended)
  if ended.code == CloseCode.NO_STATUS then
    return { type = "CLOSE" }
  end
  return { type = "CLOSE", content = CloseCode.payload(ended.code, ended.given_reason) }
end

local WORDS = {
  open = function() return { type = "OPEN" } end,
  message = function(event) return { type = event.is_text and "TEXT" or "BINARY", content = event.body } end,
  close = function(event) return close_of(event.ended) end,
}

-- The events of a request. A handler that has detached gets CLOSE once, and then nothing more.
local function events_of(event, state)
  local word, kind = WORDS[event.kind], event.kind
  if state.detached then
    local is_last = state.detached == "asked" and (kind == "alarm" or kind == "close")
    return is_last and { { type = "CLOSE" } } or nil
  elseif kind == "close" and event.ended.code == CloseCode.ABNORMAL then
    return { { type = "DISCONNECT" } }
  elseif not word and kind ~= "alarm" then
    return nil
  end
  local events = {}
  for _, rest in ipairs((event.connection.grip or NOTHING).rest or NOTHING) do
    events[#events + 1] = rest
  end
  events[#events + 1] = word and word(event)
  return events
end

--- Whether the handler gets an event.
---@param event Event
---@return boolean
function Grip.has_word(event) return events_of(event, GripState.read(event.state)) ~= nil end

--- Writes an event that the handler gets.
---@param event Event
---@return string[] pieces of a request
function Grip.request(event)
  local state, traceparent = GripState.read(event.state), event.traceparent
  local events = events_of(event, state)
  event.offered = events -- what its answer accepts
  local body = WebSocketEvents.encode(events)
  return {
    "POST ",
    event.connection.path,
    " HTTP/1.1\r\n",
    TraceContext.handshake_of(event),
    traceparent and "traceparent: " .. traceparent .. "\r\n" or "",
    GripHeaders.of_request(event, state),
    "content-length: ",
    #body,
    "\r\n\r\n",
    body,
  }
end

-- Whether a response is an answer in this protocol. The type has no parameters.
local function is_answer(response)
  local value = response.headers["content-type"]
  return response.status == OK and (type(value) == "table" and value[1] or value) == TYPE
end

-- What becomes of a socket whose handler answers something else: at the beginning, it is the client's answer.
local function refused(event, response)
  if event.kind == "open" then
    return {
      status = response.status,
      headers = response.headers,
      body = response.body,
      is_refusal = true,
      effects = {},
    }
  elseif event.kind ~= "close" then
    Log.limited(
      Log.warn,
      "grip",
      TraceContext.label(event),
      "the handler ended the socket: it answered ",
      response.status
    )
  end
  return { status = OK, headers = {}, body = "", effects = { { kind = "drop" } } }
end

-- What the handler has not accepted of the content that it was offered.
local function rest_of(event, headers)
  local close = event.kind == "close"
  local offered = WebSocketEvents.bytes(event.offered)
  local accepted = tonumber(headers["content-bytes-accepted"]) or offered
  if accepted < 0 or accepted > offered then
    return nil, "content-bytes-accepted is more than was offered"
  end
  local rest = close and {} or WebSocketEvents.without(event.offered, accepted)
  if WebSocketEvents.bytes(rest) + EVENT_BYTES * (#rest - 1) > Config.MAX_MESSAGE_BYTES then
    return nil, "it must accept something of more than MAX_MESSAGE_BYTES"
  end
  return rest
end

-- A session that its handler checks needs the event of a client that comes back, for which this protocol has no word.
local function session_defect(event, headers)
  local session = event.kind == "open" and headers["ws-session"]
  local is_checked = type(session) == "string" and session:find("check", 1, true)
  return is_checked and "ws-session cannot have ;check in GRIP, which has no word for a client that comes back" or nil
end

local function read(event, response)
  local defect = session_defect(event, response.headers)
  if defect then
    return nil, defect
  end
  local events, err = WebSocketEvents.decode(response.body)
  if not events then
    return nil, err
  end
  local rest, rest_err = rest_of(event, response.headers)
  if not rest then
    return nil, rest_err
  end
  return GripEffects.of(event, { headers = response.headers, events = events, rest = rest })
end

--- Reads an answer.
---@param event Event
---@param response { status: any, headers: any, body: any }
---@return Answer
function Grip.answer(event, response)
  local defect = Border.defect_of(response)
  if defect then
    return Answer.failed("malformed", defect)
  elseif not is_answer(response) then
    return refused(event, response)
  end
  local effects, err = read(event, response)
  if not effects then
    return Answer.failed("malformed", err)
  end
  return { status = OK, headers = GripHeaders.of_answer(response.headers), body = "", effects = effects }
end

return Grip
