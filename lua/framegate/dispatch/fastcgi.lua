-- How a lane speaks FastCGI with its handler, such as php-fpm. http.lua is the other protocol of handlers.
-- The event is the same as over HTTP: its headers are parameters named as CGI names them, its body is the standard input.

local Dialects = require "framegate.dispatch.dialects"
local HttpResponse = require "framegate.dispatch.http_response"
local FastCgiRecords = require "framegate.protocol.fastcgi"
local FastCgiStream = require "framegate.dispatch.fastcgi_stream"

local FastCgi = {}

local MAX_SCRIPT = 4096 -- bytes of the parameters that name the script
local OVERLOADED = { status = 503, headers = { ["retry-after"] = "0" } } -- the server has not run the request

FastCgi.TAKES_BATCHES = false

local pair = FastCgiRecords.pair

local SPECIAL = { ["content-type"] = "CONTENT_TYPE", ["content-length"] = "CONTENT_LENGTH" }
local FORBIDDEN = { proxy = true } -- HTTP_PROXY would name a proxy for requests of the script (httpoxy.org)

-- The name of a header's parameter (RFC 3875 section 4.1.18).
local function name_of(header) return SPECIAL[header] or "HTTP_" .. header:upper():gsub("%-", "_") end

local function server_params(headers, path)
  local host = headers.host or ""
  local is_secure = headers["x-forwarded-proto"] == "https"
  local params = {
    pair("GATEWAY_INTERFACE", "CGI/1.1"),
    pair("SERVER_SOFTWARE", "framegate"),
    pair("SERVER_PROTOCOL", "HTTP/1.1"),
    pair("REQUEST_METHOD", "POST"),
    pair("REQUEST_URI", path),
    pair("DOCUMENT_URI", path:match("^[^?]*")),
    pair("QUERY_STRING", path:match("%?(.*)$") or ""),
    pair("REQUEST_SCHEME", is_secure and "https" or "http"),
    pair("SERVER_NAME", (host:gsub(":%d*$", ""))),
    pair("SERVER_PORT", host:match(":(%d+)$") or (is_secure and "443" or "80")),
    pair("REMOTE_ADDR", headers["x-forwarded-for"] or "127.0.0.1"), -- timers have no client
    pair("REDIRECT_STATUS", "200"), -- php-cgi refuses requests without it
  }
  if is_secure then
    params[#params + 1] = pair("HTTPS", "on")
  end
  return params
end

-- Returns the parameters of an event, except for those of the script.
local function event_params(head)
  local headers, names = {}, {}
  for name, value in head:gmatch("\r\n([^:\r\n]+): ([^\r\n]*)") do
    headers[name], names[#names + 1] = value, name
  end
  local params = server_params(headers, head:match("^POST (%S+)"))
  for _, name in ipairs(names) do
    params[#params + 1] = not FORBIDDEN[name] and pair(name_of(name), headers[name]) or nil
  end
  return params
end

local function script_params(script)
  local folder, file = script:match("^(.*)/([^/]+)$")
  return pair("SCRIPT_FILENAME", script)
    .. pair("SCRIPT_NAME", "/" .. file)
    .. pair("DOCUMENT_ROOT", folder ~= "" and folder or "/")
end

local function is_kept(peer) return peer.pool_size ~= nil and peer.pool_size > 0 and not ngx.worker.exiting() end

--- Encodes an event as a request.
---@param event Event
---@param signer Signer?
---@return (fun(peer: Peer): string[])? request gives the pieces for a peer
---@return "refused"|nil failure if the parameters are too large
function FastCgi.request(event, signer)
  local request = Dialects.of(event.connection).request(event, signer)
  local body = table.remove(request)
  local params, bytes = event_params(table.concat(request)), MAX_SCRIPT
  for _, param in ipairs(params) do
    bytes = bytes + #param
  end
  if bytes > FastCgiRecords.MAX_PARAMS then
    return nil, "refused"
  end
  local last = #params + 1
  return function(peer)
    params[last] = script_params(peer.script)
    return FastCgiRecords.request { params = params, body = body, is_kept = is_kept(peer) }
  end
end

--- Reads status and headers of a response.
---@param connection HandlerConnection over which the request was sent
---@param deadline number in seconds of the monotonic clock
---@return HttpResponse?
---@return string? err of the socket, or what is wrong with the response
---@return boolean? is_garbled whether the bytes are not a response
function FastCgi.read(connection, deadline)
  local stream = FastCgiStream.new(connection, deadline)
  local response, err, is_garbled = HttpResponse.read_cgi(stream, deadline)
  if response then
    response.is_kept = is_kept(connection.peer)
  elseif stream.ending == "overloaded" then
    return HttpResponse.without_body(OVERLOADED)
  elseif stream.ending then
    return nil, "the FastCGI server ended the request without headers", true
  end
  return response, err, is_garbled or stream.is_garbled
end

return FastCgi
