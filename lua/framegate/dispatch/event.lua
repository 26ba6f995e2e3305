-- One event of a socket, and its two encodings: a request of its own, or an element of a batch.
-- docs/protocol.md defines each header.

local cjson = require "cjson.safe"
local Clock = require "framegate.runtime.clock"
local JsonMembers = require "framegate.dispatch.json_members"
local Percent = require "framegate.protocol.percent"
local TraceContext = require "framegate.telemetry.trace_context"

local find = string.find
local quote, to_members = JsonMembers.quote, JsonMembers.of_lines

---@class Event
---@field kind "open"|"message"|"alarm"|"detach"|"resume"|"close"|"timer"
---@field connection Connection|Timer whose answer it gets
---@field id string the same for every attempt
---@field time string when it was made, RFC 3339
---@field number integer? position among the events of its socket; 0 is open
---@field state string? of the connection, percent-encoded
---@field user string? of the connection, percent-encoded
---@field content_type string? of a message
---@field ended Ended? of a close (socket/close_event.lua)
---@field body string empty for all but messages
---@field is_text boolean whether the body is UTF-8
---@field since number when it was handed to dispatch, in seconds of the monotonic clock
---@field attempts integer how often it was sent
---@field question Question? that it asks (socket/questions.lua)
---@field is_alone boolean? whether it travels alone, because the handler wants to stream its answer
---@field handshake string? header lines in place of those of its connection; such an event travels alone
---@field traceparent string? of its span, in place of that of the handshake, if there are traces
---@field trace_context TraceContext? of the handshake, beside it
local Event = {}

local BINARY, JSON = "application/octet-stream", "application/json"
local TEXT = "text/plain; charset=utf-8"
local CONTENT_TYPES = { text = TEXT, json = JSON, form = "application/x-www-form-urlencoded" }

-- Header members of a batch element, made once.
local CONTENT_TYPE_MEMBERS, TYPE_MEMBERS = {}, {}
for _, type in ipairs { BINARY, TEXT, JSON, CONTENT_TYPES.form } do
  CONTENT_TYPE_MEMBERS[type] = '"content-type":"' .. type .. '",'
end
for _, kind in ipairs { "open", "message", "alarm", "detach", "resume", "close" } do
  TYPE_MEMBERS[kind] = '"ce-type":"framegate.' .. kind .. '","ce-time":"'
end

-- The content type of a message: the one that the route set with ws-text, or a guess by the first character.
---@param body string
---@param is_text boolean
---@param mode string? text, json or form
local function content_type(body, is_text, mode)
  if not is_text then
    return BINARY
  end
  return CONTENT_TYPES[mode] or (find(body, "^%s*[{%[]") and JSON or TEXT)
end

local NODE_LENGTH = 4 -- characters of an id that name the node which opened the socket
local sources = {} -- by node

--- The `source` of a socket's events: it stays the same, whoever sends them. A timer has its own.
---@param connection Connection|Timer
---@return string
function Event.source(connection)
  if connection.source then
    return connection.source
  end
  local node = connection.id:sub(1, NODE_LENGTH)
  local source = sources[node]
  if not source then
    source = "/framegate/" .. node
    sources[node] = source
  end
  return source
end

local function new(connection, kind, id)
  local traffic = connection.traffic
  return {
    kind = kind,
    connection = connection,
    id = id,
    time = Clock.timestamp(),
    state = connection.state,
    user = connection.user and Percent.encode(connection.user),
    number = traffic and traffic.events,
    body = "",
    is_text = true,
    since = 0,
    attempts = 0,
  }
end

local function numbered(connection, kind)
  local event = new(connection, kind, connection.id .. "/" .. connection.traffic.events)
  connection:count_event()
  return event
end

--- Makes the open event of a socket.
---@param connection Connection
---@return Event
function Event.open(connection) return numbered(connection, "open") end

--- Makes the event of a message.
---@param connection Connection
---@param body string
---@param is_text boolean whether the body is UTF-8
---@return Event
function Event.message(connection, body, is_text)
  local event = numbered(connection, "message")
  event.body, event.is_text = body, is_text
  event.content_type = content_type(body, is_text, connection.options.text_mode)
  return event
end

--- Makes an event that no message of the client causes.
---@param connection Connection
---@param kind "alarm"|"detach"|"resume"
---@return Event
function Event.own(connection, kind) return numbered(connection, kind) end

--- Makes the event of a timer. It has the same id and time, whoever makes it.
---@param timer Timer
---@param slot integer when it is due, in milliseconds since 1970
---@return Event
function Event.timer(timer, slot)
  local time = Clock.format(slot / 1000)
  local event = new(timer, "timer", timer.path .. "@" .. time)
  event.time = time
  return event
end

--- Makes the close event of a socket. Its id has no number, so a worker that recovers a socket gives it the same one.
---@param connection Connection
---@param ended { code: integer, reason: string, seconds: number, cause: string? } `seconds`: how long the socket was open
---@return Event
function Event.close(connection, ended)
  local event = new(connection, "close", connection.id .. "/close")
  local duration = math.floor(ended.seconds * 1000 + 0.5)
  event.ended = { code = ended.code, reason = Percent.encode(ended.reason), duration = duration }
  event.ended.given_reason = ended.cause == "client" and ended.reason or nil
  return event
end

-- Header lines that few events have.
local function rare_lines(event)
  local lines, ended = "", event.ended
  if event.state then
    lines = "ce-state: " .. event.state .. "\r\n"
  end
  if event.user then
    lines = lines .. "ce-user: " .. event.user .. "\r\n"
  end
  if ended then
    local code, reason, duration = ended.code, ended.reason, ended.duration
    lines = lines .. "ce-closecode: " .. code .. "\r\nce-closereason: " .. reason
    lines = lines .. "\r\nce-duration: " .. duration .. "\r\n"
  end
  return lines
end

--- Encodes the event as an HTTP/1.1 request, in pieces that are never joined into one Lua string.
--- LuaJIT hashes only a few bytes of a string, and requests differ little. So they would share one bucket of its string
--- table, and each new one would be compared with all others there.
---@param event Event
---@param signature string? header lines of Signer
---@return string[] pieces
function Event.to_request(event, signature)
  local connection = event.connection
  return {
    "POST ",
    connection.path,
    " HTTP/1.1\r\n",
    TraceContext.handshake_of(event),
    event.traceparent and "traceparent: " or "",
    event.traceparent or "",
    event.traceparent and "\r\n" or "",
    "accept-encoding: identity\r\nce-specversion: 1.0\r\nce-source: ",
    Event.source(connection),
    connection.id and "\r\nce-connectionid: " or "",
    connection.id or "",
    "\r\nce-type: framegate.",
    event.kind,
    "\r\nce-id: ",
    event.id,
    "\r\nce-time: ",
    event.time,
    event.number and "\r\nce-eventnumber: " or "",
    event.number or "",
    "\r\n",
    rare_lines(event),
    signature or "",
    event.content_type and "content-type: " or "",
    event.content_type or "",
    event.content_type and "\r\n" or "",
    "content-length: ",
    #event.body,
    "\r\n\r\n",
    event.body,
  }
end

-- The part of a batch element that is the same for every event of a connection. It is made once per connection.
local function batch_prefix(event)
  local connection = event.connection
  local prefix = connection.batch_prefix
  if not prefix then
    prefix = '{"path":'
      .. quote(connection.path)
      .. ',"headers":{'
      .. to_members(TraceContext.handshake_of(event))
      .. '"accept-encoding":"identity","ce-specversion":"1.0","ce-source":'
      .. quote(Event.source(connection))
      .. ',"ce-connectionid":"'
      .. connection.id
      .. '",'
    connection:set_batch_prefix(prefix)
  end
  return prefix
end

--- Encodes the event as an element of a batch: `{"path","headers","body" or "body_base64"}`.
--- Values that are not quoted here are the gateway's own and plain ASCII. It comes in pieces, like a request.
---@param event Event
---@param pieces string[] the pieces are added here
---@param count integer how many pieces there are before
---@return integer count how many there are afterwards
function Event.to_json(event, pieces, count)
  local rare, traceparent = rare_lines(event), event.traceparent
  pieces[count + 1] = batch_prefix(event)
  pieces[count + 2] = rare ~= "" and to_members(rare) or ""
  pieces[count + 3] = event.content_type and CONTENT_TYPE_MEMBERS[event.content_type] or ""
  pieces[count + 4] = traceparent and '"traceparent":"' or ""
  pieces[count + 5] = traceparent or ""
  pieces[count + 6] = traceparent and '",' or ""
  pieces[count + 7] = event.number and '"ce-eventnumber":"' or ""
  pieces[count + 8] = event.number or ""
  pieces[count + 9] = event.number and '",' or ""
  pieces[count + 10] = TYPE_MEMBERS[event.kind]
  pieces[count + 11] = event.time
  pieces[count + 12] = '","ce-id":"'
  pieces[count + 13] = event.id
  pieces[count + 14] = event.is_text and '"},"body":' or '"},"body_base64":"'
  pieces[count + 15] = event.is_text and cjson.encode(event.body) or ngx.encode_base64(event.body)
  pieces[count + 16] = event.is_text and "}" or '"}'
  return count + 16
end

return Event
