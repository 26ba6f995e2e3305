-- One event of a socket and how it is written: as a request of its own, or as an element of a batch.
-- docs/protocol.md says what each header means.

local cjson = require "cjson.safe"
local Clock = require "framegate.runtime.clock"
local Percent = require "framegate.protocol.percent"

local concat, find, gsub = table.concat, string.find, string.gsub

---@class Event
---@field kind "open"|"message"|"close"
---@field connection Connection
---@field id string the same on a repeat
---@field time string when it was made, RFC 3339
---@field number integer? 0 is open
---@field state string? of the connection, percent-encoded
---@field content_type string? of a message
---@field ended { code: integer, reason: string, duration: integer }? of a close: the reason percent-encoded, the duration in ms
---@field body string empty for open and close
---@field is_text boolean whether the body is UTF-8
---@field since number when it was handed to dispatch, in seconds
---@field attempts integer how often it was sent
local Event = {}

local BINARY = "application/octet-stream"
local TEXT = "text/plain; charset=utf-8"
local JSON = "application/json"
local CONTENT_TYPES = { text = TEXT, json = JSON, form = "application/x-www-form-urlencoded" }

-- Members of a batch's headers, made once.
local CONTENT_TYPE_MEMBERS, TYPE_MEMBERS = {}, {}
for _, type in ipairs { BINARY, TEXT, JSON, CONTENT_TYPES.form } do
  CONTENT_TYPE_MEMBERS[type] = '"content-type":"' .. type .. '",'
end
for _, kind in ipairs { "open", "message", "close" } do
  TYPE_MEMBERS[kind] = '"ce-type":"framegate.' .. kind .. '","ce-time":"'
end

--- The content type of a message: what the route asked for with ws-text, else a hint by its first character.
---@param body string
---@param is_text boolean
---@param mode string? text, json or form
local function content_type(body, is_text, mode)
  if not is_text then
    return BINARY
  end
  return CONTENT_TYPES[mode] or (find(body, "^%s*[{%[]") and JSON or TEXT)
end

-- What is the same for every event of this gateway. A socket does not keep it.
local source
local function source_of_all()
  source = source or "/framegate/" .. ngx.shared.gateway:get("node")
  return source
end

local function new(connection, kind, id)
  return {
    kind = kind,
    connection = connection,
    id = id,
    time = Clock.timestamp(),
    state = connection.state,
    number = connection.events,
    body = "",
    is_text = true,
    since = 0,
    attempts = 0,
  }
end

local function numbered(connection, kind)
  local event = new(connection, kind, connection.id .. "/" .. connection.events)
  connection:count_event()
  return event
end

---@param connection Connection
---@return Event
function Event.open(connection) return numbered(connection, "open") end

---@param connection Connection
---@param body string
---@param is_text boolean
---@return Event
function Event.message(connection, body, is_text)
  local event = numbered(connection, "message")
  event.body, event.is_text = body, is_text
  event.content_type = content_type(body, is_text, connection.options.text_mode)
  return event
end

--- The id of a close event holds no number, so that whoever finds the socket when its worker was killed
--- gives the event the same id.
---@param connection Connection
---@param ended { code: integer, reason: string, seconds: number } how long the socket was there
---@return Event
function Event.close(connection, ended)
  local event = new(connection, "close", connection.id .. "/close")
  local milliseconds = math.floor(ended.seconds * 1000 + 0.5)
  event.ended = { code = ended.code, reason = Percent.encode(ended.reason), duration = milliseconds }
  return event
end

-- Header lines that few events have.
local function rare_lines(event)
  local lines = ""
  if event.state then
    lines = "ce-state: " .. event.state .. "\r\n"
  end
  local ended = event.ended
  if ended then
    lines = lines
      .. "ce-closecode: "
      .. ended.code
      .. "\r\nce-closereason: "
      .. ended.reason
      .. "\r\nce-duration: "
      .. ended.duration
      .. "\r\n"
  end
  return lines
end

--- The event as an HTTP/1.1 request. In pieces: LuaJIT hashes a few bytes of a string only, so that requests, which differ
--- little, would all meet in one place of its table of strings, and making each would take as long as there are others.
---@param event Event
---@return string[] pieces
function Event.to_request(event)
  local connection = event.connection
  return {
    "POST ",
    connection.path,
    " HTTP/1.1\r\n",
    connection.handshake,
    "accept-encoding: identity\r\nce-specversion: 1.0\r\nce-source: ",
    source_of_all(),
    "\r\nce-connectionid: ",
    connection.id,
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
    event.content_type and "content-type: " or "",
    event.content_type or "",
    event.content_type and "\r\n" or "",
    "content-length: ",
    #event.body,
    "\r\n\r\n",
    event.body,
  }
end

local function to_utf8(character)
  local code = character:byte()
  return code < 0xC0 and "\xC2" .. character or "\xC3" .. string.char(code - 0x40)
end

-- Bytes above 127 are Latin-1 in path and headers of a request (as Node reads them), so they are here too.
local function quote(text) return cjson.encode((gsub(text, "[\128-\255]", to_utf8))) end

-- Header lines as members of a JSON object, each with a comma behind it.
local function to_members(lines)
  local members = {}
  for name, value in lines:gmatch("([^:\r\n]+): ([^\r\n]*)\r\n") do
    members[#members + 1] = quote(name) .. ":" .. quote(value) .. ","
  end
  return concat(members)
end

-- What is the same for every event of a connection, up to where the id of the event goes on behind the connection's.
local function batch_prefix(connection)
  local prefix = connection.batch_prefix
  if not prefix then
    prefix = '{"path":'
      .. quote(connection.path)
      .. ',"headers":{'
      .. to_members(connection.handshake)
      .. '"accept-encoding":"identity","ce-specversion":"1.0","ce-source":'
      .. quote(source_of_all())
      .. ',"ce-connectionid":"'
      .. connection.id
      .. '",'
    connection:set_batch_prefix(prefix)
  end
  return prefix
end

--- The event as an element of a batch: `{"path","headers","body" or "body_base64"}`. What stands here without quoting is
--- ours and plain ASCII. In pieces, as a request is.
---@param event Event
---@param pieces string[] get the element
---@param count integer how many pieces there are
---@return integer count
function Event.to_json(event, pieces, count)
  pieces[count + 1] = batch_prefix(event.connection)
  local rare = rare_lines(event)
  pieces[count + 2] = rare ~= "" and to_members(rare) or ""
  pieces[count + 3] = event.content_type and CONTENT_TYPE_MEMBERS[event.content_type] or ""
  pieces[count + 4] = event.number and '"ce-eventnumber":"' or ""
  pieces[count + 5] = event.number or ""
  pieces[count + 6] = event.number and '",' or ""
  pieces[count + 7] = TYPE_MEMBERS[event.kind]
  pieces[count + 8] = event.time
  pieces[count + 9] = '","ce-id":"'
  pieces[count + 10] = event.id
  pieces[count + 11] = event.is_text and '"},"body":' or '"},"body_base64":"'
  pieces[count + 12] = event.is_text and cjson.encode(event.body) or ngx.encode_base64(event.body)
  pieces[count + 13] = event.is_text and "}" or '"}'
  return count + 13
end

return Event
