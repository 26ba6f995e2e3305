-- The format of an event stream: what a client without a WebSocket gets in place of frames
-- (https://html.spec.whatwg.org/multipage/server-sent-events.html).
-- It is pure: a message in, the lines of an event out.

local cjson = require "cjson.safe"
local CloseCode = require "framegate.protocol.close_code"

local EventStream = {}

local RETRY_MS = 1000 -- after which an EventSource connects again

--- The id behind the last event of a socket: a client that sends it back gets 204, which ends an EventSource.
EventStream.CLOSED_ID = "closed"

EventStream.TYPE = "text/event-stream"

--- A line that no client shows: a sign of life.
EventStream.COMMENT = ":\n\n"

--- Reports that the socket of the client's id is gone: this is another one.
EventStream.RESET = "event: reset\ndata:\n\n"

--- The last chunk of a response (RFC 9112 section 7.1).
EventStream.LAST_CHUNK = "0\r\n\r\n"

local function id_line(id) return id and "id: " .. id .. "\n" or "" end

--- The beginning of a stream. With an id the client has one before its first message.
---@param id string?
---@return string
function EventStream.beginning(id) return ("retry: %d\n%s\n"):format(RETRY_MS, id_line(id)) end

--- A stream that ends immediately, because there is no socket now: its client comes back later.
---@param status integer of the refusal, for people
---@param message string
---@param seconds integer after which it comes back; at least RETRY_MS
---@return string
function EventStream.refusal(status, message, seconds)
  return (": %d %s\nretry: %d\n\n"):format(status, message, math.max(seconds * 1000, RETRY_MS))
end

--- Encodes a text. Each of its lines is one of `data`. A client joins them with LF, whatever ended them.
---@param payload string UTF-8
---@param id string?
---@return string
function EventStream.text(payload, id)
  local lines = payload:gsub("\r\n?", "\n"):gsub("\n", "\ndata: ")
  return id_line(id) .. "data: " .. lines .. "\n\n"
end

--- Encodes a binary message: in base64, as an event `binary`.
---@param payload string
---@param id string?
---@return string
function EventStream.binary(payload, id)
  return id_line(id) .. "event: binary\ndata: " .. ngx.encode_base64(payload) .. "\n\n"
end

--- Encodes the end of a socket, as an event `close`. If another connection would meet the same end, its id stops the client.
---@param code integer
---@param reason string
---@return string
function EventStream.close(code, reason)
  local id = not CloseCode.is_worth_retrying(code) and EventStream.CLOSED_ID or nil
  return ('%sevent: close\ndata: {"code":%d,"reason":%s}\n\n'):format(id_line(id), code, cjson.encode(reason))
end

--- Makes a chunk of a response (RFC 9112 section 7.1).
---@param bytes string at least one
---@return string
function EventStream.chunk(bytes) return ("%x\r\n"):format(#bytes) .. bytes .. "\r\n" end

--- Whether a client accepts an event stream (RFC 9110 section 12.5.1). Parameters, such as a weight, do not count.
---@param accept string|string[]|nil the header
---@return boolean
function EventStream.is_accepted(accept)
  local all = type(accept) == "table" and table.concat(accept, ",") or accept or ""
  for type in all:lower():gmatch("[^,]+") do
    if type:match("^%s*([^%s;]+)") == EventStream.TYPE then
      return true
    end
  end
  return false
end

return EventStream
