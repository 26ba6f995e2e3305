-- Begins the response that is an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html).
-- From then on the raw socket is the transport's, as behind a 101.

local EventStream = require "framegate.protocol.event_stream"
local Handshake = require "framegate.protocol.handshake"

local StreamResponse = {}

-- Its head is written here, and not by nginx, which would announce that the connection is kept.
local HEAD = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: %s\r\nContent-Type: "
  .. EventStream.TYPE
  .. "\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\n"
  .. "Transfer-Encoding: chunked\r\nConnection: close\r\n%s\r\n"

-- Header lines that a page of another origin needs to read the response (fetch.spec.whatwg.org, CORS protocol).
local function allowing(origin)
  return {
    ["Access-Control-Allow-Origin"] = origin,
    ["Access-Control-Allow-Credentials"] = origin and "true",
    ["Vary"] = origin and "Origin",
  }
end

--- Lets a page of another origin read what is answered in place of a stream. Handshake.check has allowed that origin.
---@param headers table<string, string|string[]> of the request
function StreamResponse.allow_origin(headers)
  if not Handshake.is_for_stream(headers) then
    return
  end
  for name, value in pairs(allowing(headers.origin)) do
    ngx.header[name] = value
  end
end

local function lines_of(name, values)
  local lines = {}
  for i, value in ipairs(type(values) == "table" and values or { values }) do
    lines[i] = name .. ": " .. value .. "\r\n"
  end
  return table.concat(lines)
end

--- Sends the head of the response. Yields until it is sent. The body comes in chunks (RFC 9112 section 7.1).
---@param answer Answer of the handler: its Set-Cookie is included
---@return table? socket the raw request socket
---@return string? err when the client is gone
function StreamResponse.perform(answer)
  local lines = lines_of("Set-Cookie", answer.headers["set-cookie"])
  for name, value in pairs(allowing(ngx.var.http_origin)) do
    lines = lines .. lines_of(name, value)
  end
  local socket, err = ngx.req.socket(true)
  if not socket then
    return nil, err
  end
  local ok
  ok, err = socket:send(HEAD:format(ngx.http_time(ngx.time()), lines))
  return ok and socket, err
end

return StreamResponse
