-- The text of a record: what the close event of a socket needs.

local PASSED = require "framegate.protocol.passed_headers"
local Percent = require "framegate.protocol.percent"

---@class SocketRecord
---@field id string
---@field opened number wall clock, in seconds since 1970
---@field opened_at number by Clock.monotonic; only of use while this machine runs
---@field closing { code: integer, reason: string }? once the socket has ended
---@field seconds number? how long it was open, once it has ended
---@field state string? percent-encoded
---@field path string
---@field handshake string header lines
---@field user string?
---@field handler string? the name of its handler; nil for that of HANDLER_URL
---@field protocol string? as Options have it

local RecordText = {}

-- The headers of the handshake that a record holds. `dropped` has an empty text for each name that is left out.
local function headers_of(socket, dropped)
  return dropped and socket.handshake:gsub("([^\r\n:]+):[^\r\n]*\r\n", dropped) or socket.handshake
end

local OWN = { "host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "ce-transport" }

-- Some dialects pass on all headers of a handshake. Of these, a record holds only those that it has to.
local function all_but(kept)
  local has = {}
  for _, names in ipairs { kept, OWN } do
    for _, name in ipairs(names) do
      has[name] = true
    end
  end
  return setmetatable({}, { __index = function(_, name) return not has[name] and "" or nil end })
end

-- Only the last part, the handshake, may contain line breaks.
local function text_of(socket, dropped)
  local seconds = socket.ended_at and socket.ended_at - socket:began_at()
  local closing = seconds
    and (" %.3f %d %s"):format(seconds, socket.closing.code, Percent.encode(socket.closing.reason))
  local handler, user, protocol = socket.options.handler, socket.user, socket.options.protocol
  return ("%.3f %.3f%s%s%s%s\n%s\n%s\n%s"):format(
    socket.traffic.opened,
    socket:began_at(),
    protocol and " &" .. protocol or "",
    handler and " @" .. Percent.encode(handler) or "",
    user and " ~" .. Percent.encode(user) or "",
    closing or "",
    socket.state or "",
    socket.path,
    headers_of(socket, dropped)
  )
end

--- Makes a function that writes records.
---@param kept string[] names of the headers that a record holds (RECORD_HEADERS)
---@param passed string[] names of headers that events carry besides those that always pass (HANDSHAKE_HEADERS)
---@return fun(socket: Connection): string
function RecordText.writer(kept, passed)
  local dropped = {} -- an empty text by the name of each header that is left out
  for _, list in ipairs { PASSED, passed } do
    for _, name in ipairs(list) do
      dropped[name] = ""
    end
  end
  for _, name in ipairs(kept) do
    dropped[name] = nil
  end
  local others = all_but(kept)
  local of_own = next(dropped) and dropped or nil
  return function(socket) return text_of(socket, socket.options.protocol and others or of_own) end
end

-- Takes a field that a record may have, by the sign in front of it. Returns its value, or nil, and what follows.
local function take(text, sign)
  local value, rest = text:match("^ " .. sign .. "(%S*)(.*)$")
  return value and Percent.decode(value), rest or text
end

--- Reads a record.
---@param id string
---@param text string
---@return SocketRecord? record nil if this is none
function RecordText.read(id, text)
  local opened, opened_at, ended, state, path, handshake =
    text:match("^([%d.]+) ([%d.]+)([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$")
  if not opened then
    return nil
  end
  local protocol, handler, user
  protocol, ended = take(ended, "&")
  handler, ended = take(ended, "@")
  user, ended = take(ended, "~")
  local seconds, code, reason = ended:match("^ (%S+) (%d+) (%S*)$")
  return {
    id = id,
    opened = tonumber(opened),
    opened_at = tonumber(opened_at),
    closing = code and { code = tonumber(code), reason = Percent.decode(reason) },
    seconds = tonumber(seconds),
    state = state ~= "" and state or nil,
    path = path,
    handshake = handshake,
    handler = handler,
    protocol = protocol,
    user = user,
  }
end

return RecordText
