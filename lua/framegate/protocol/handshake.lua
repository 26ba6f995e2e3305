-- Checks whether a request may become a WebSocket (RFC 6455 sections 4.2.1 and 10.2).
-- It has no side effects: a description of the request in, a refusal or nil out.

local EventStream = require "framegate.protocol.event_stream"
local Fields = require "framegate.protocol.fields"
local Host = require "framegate.protocol.host"
local Origin = require "framegate.protocol.origin"

local Handshake = {}

local function has_token(value, token)
  local all = type(value) == "table" and table.concat(value, ",") or value or ""
  for word in all:lower():gmatch("[^,%s]+") do
    if word == token then
      return true
    end
  end
  return false
end

local function refusal(status, message, headers) return { status = status, message = message, headers = headers or {} } end

local function check_key(headers)
  local key = headers["sec-websocket-key"]
  if type(key) ~= "string" or #key ~= 24 or not key:match("^[%w+/]+==$") then
    return refusal(400, "Sec-WebSocket-Key must appear once and be 16 bytes in base64")
  end
end

-- A handshake must not have a body: nobody would read it, and its bytes would be taken for frames.
local function check_body(headers)
  local length = headers["content-length"]
  if length and not (type(length) == "string" and length:match("^0+$")) or headers["transfer-encoding"] then
    return refusal(400, "a WebSocket handshake has no body")
  end
  if headers.expect then
    return refusal(400, "a WebSocket handshake has no body to wait for: leave Expect out")
  end
end

local function check_host(headers)
  local host = headers.host
  if not host then
    return refusal(400, "expected a Host header")
  end
  if type(host) ~= "string" or not Host.is_valid(host) then
    return refusal(400, "expected one Host header with a name or an address, and perhaps a port")
  end
end

local UPGRADE = { ["Upgrade"] = "websocket", ["Connection"] = "Upgrade", ["Sec-WebSocket-Version"] = "13" }

--- Whether a client wants an event stream in place of a WebSocket.
---@param headers table as in HandshakeRequest
---@return boolean
function Handshake.is_for_stream(headers)
  return EventStream.is_accepted(headers.accept) and not has_token(headers.upgrade, "websocket")
end

local function check_stream(request)
  if request.method ~= "GET" then
    return refusal(405, "an event stream is the answer to a GET request", { ["Allow"] = "GET" })
  elseif request.http_version ~= 1.1 then
    return refusal(400, "an event stream needs an HTTP/1.1 request")
  end
  return check_host(request.headers) or check_body(request.headers)
end

local function check_form(request)
  local headers = request.headers
  if Handshake.is_for_stream(headers) then
    return check_stream(request)
  end
  if not has_token(headers.upgrade, "websocket") then
    return refusal(426, "this path speaks WebSocket: expected a handshake with Upgrade: websocket", UPGRADE)
  end
  if request.method ~= "GET" then
    return refusal(405, "a WebSocket handshake is a GET request", { ["Allow"] = "GET" })
  end
  if request.http_version ~= 1.1 then
    return refusal(400, "a WebSocket handshake is an HTTP/1.1 request")
  end
  if not has_token(headers.connection, "upgrade") then
    return refusal(400, "expected the header Connection: Upgrade")
  end
  if headers["sec-websocket-version"] ~= "13" then
    return refusal(426, "expected Sec-WebSocket-Version: 13", UPGRADE)
  end
  return check_host(headers) or check_body(headers) or check_key(headers)
end

local function is_listed(origin, allowed)
  for _, entry in ipairs(allowed) do
    local scheme, suffix = entry:match("^(%l+://)%*(%..+)$")
    if entry == "*" or entry == origin then
      return true
    end
    if
      scheme
      and origin:sub(1, #scheme) == scheme
      and #origin > #scheme + #suffix
      and origin:sub(-#suffix) == suffix
    then
      return true
    end
  end
  return false
end

-- Whether ALLOWED_ORIGINS may contain this origin, so that the refusal can advise it.
local function is_origin(text)
  return text == "null"
    or text == "file://"
    or text:match("^%l[%w+%.%-]*://[%w%.%-_]+$") ~= nil
    or text:match("^%l[%w+%.%-]*://[%w%.%-_]+:%d*$") ~= nil
    or text:match("^%l+://%[[%x:%.]+%]:?%d*$") ~= nil
end

-- A page of another site can have a browser ask for a stream without an Origin, though not read it. The browser names the
-- relation of the two (www.w3.org/TR/fetch-metadata, Sec-Fetch-Site).
local OWN_SITES = { ["same-origin"] = true, none = true }

local function check_site(headers)
  local site = headers["sec-fetch-site"]
  if site and not OWN_SITES[site] and Handshake.is_for_stream(headers) then
    local refused = refusal(403, "a page of another origin may only use EventSource or fetch in the mode cors here")
    refused.cause = "origin"
    return refused
  end
end

local function check_origin(request)
  local origin = request.headers.origin
  if not origin then
    return check_site(request.headers)
  end
  if type(origin) == "table" then
    return refusal(400, "Origin must appear once")
  end
  origin = origin:lower()
  local allowed = origin ~= "null" and Origin.is_same_host(origin, request.host)
    or is_listed(origin, request.allowed_origins)
  if not allowed then
    local can_be_listed = is_origin(origin)
    local advice = can_be_listed and "add it to ALLOWED_ORIGINS" or "it is none that ALLOWED_ORIGINS may name"
    local refused = refusal(403, ("the origin %s is not allowed here: %s"):format(origin, advice))
    refused.cause, refused.origin, refused.can_be_listed = "origin", origin, can_be_listed
    return refused
  end
end

---@class HandshakeRequest
---@field method string
---@field http_version number
---@field headers table names in lower case, trimmed values; a header that came more than once has a list
---@field host string the client's name for this server: Host, or X-Forwarded-Host of a trusted proxy
---@field allowed_origins string[] ALLOWED_ORIGINS, in lower case

--- Checks a handshake.
---@param request HandshakeRequest
---@return table? refusal nil if it is accepted; `origin` is the refused one, `can_be_listed` whether ALLOWED_ORIGINS may contain it
function Handshake.check(request) return check_form(request) or check_origin(request) end

--- Whether the client offered the subprotocol that a handler chose (RFC 6455 section 4.2.2, /subprotocol/).
---@param offered string|string[]|nil Sec-WebSocket-Protocol of the client
---@param chosen string
---@return boolean
function Handshake.is_offered(offered, chosen)
  if not Fields.is_token(chosen) then
    return false
  end
  local all = type(offered) == "table" and table.concat(offered, ",") or offered or ""
  for word in all:gmatch("[^,%s]+") do
    if word == chosen then
      return true
    end
  end
  return false
end

return Handshake
