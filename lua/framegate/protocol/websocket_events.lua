-- The body of a WebSocket-over-HTTP request or response: events, one behind the other.
-- `TYPE CR LF` is an event without content; `TYPE SP length CR LF content CR LF` is one with content. The length is
-- hexadecimal, in bytes. Pushpin's documentation defines it: pushpin.org/docs/protocols/websocket-over-http/.

local WebSocketEvents = {}

---@class WebSocketEvent
---@field type string such as OPEN, TEXT or CLOSE
---@field content string? nil for an event without content

local MAX_DIGITS = 8

--- Encodes events.
---@param events WebSocketEvent[]
---@return string
function WebSocketEvents.encode(events)
  local pieces = {}
  for _, event in ipairs(events) do
    pieces[#pieces + 1] = event.content and ("%s %x\r\n"):format(event.type, #event.content) or event.type .. "\r\n"
    if event.content then
      pieces[#pieces + 1] = event.content
      pieces[#pieces + 1] = "\r\n"
    end
  end
  return table.concat(pieces)
end

-- Reads the content of an event that begins at a position. Returns it, and the position behind it.
local function content_at(body, position, digits)
  local length = digits:find("^%x+$") and #digits <= MAX_DIGITS and tonumber(digits, 16)
  if not length then
    return nil, "the length of an event is not a hexadecimal number"
  end
  local last = position + length - 1
  if body:sub(last + 1, last + 2) ~= "\r\n" then
    return nil, "an event is longer or shorter than its length"
  end
  return body:sub(position, last), last + 3
end

--- Decodes events. Types that are unknown are among them.
---@param body string
---@return WebSocketEvent[]? events
---@return string? err what is wrong, in words
function WebSocketEvents.decode(body)
  local events, position = {}, 1
  while position <= #body do
    local line_end = body:find("\r\n", position, true)
    if not line_end then
      return nil, "the line of an event has no end"
    end
    local line = body:sub(position, line_end - 1)
    local type, digits = line:match("^(%S*) (.*)$")
    position = line_end + 2
    local content
    if digits then
      local next_position
      content, next_position = content_at(body, position, digits)
      if not content then
        return nil, next_position
      end
      position = next_position
    end
    events[#events + 1] = { type = type or line, content = content }
  end
  return events
end

--- Counts the bytes of content.
---@param events WebSocketEvent[]
---@return integer bytes
function WebSocketEvents.bytes(events)
  local bytes = 0
  for _, event in ipairs(events) do
    bytes = bytes + #(event.content or "")
  end
  return bytes
end

--- Removes content from the beginning. What is left of an event keeps its type.
---@param events WebSocketEvent[]
---@param bytes integer of content; an event without content at this place is removed, too
---@return WebSocketEvent[] rest
function WebSocketEvents.without(events, bytes)
  local rest = {}
  for _, event in ipairs(events) do
    local size = #(event.content or "")
    if rest[1] or size > bytes then
      rest[#rest + 1] = { type = event.type, content = event.content and event.content:sub(rest[1] and 1 or bytes + 1) }
    else
      bytes = bytes - size
    end
  end
  return rest
end

return WebSocketEvents
