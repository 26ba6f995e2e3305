-- Checks and cleans plain HTTP requests before nginx proxies them to the site.
-- It removes headers that only framegate may set, so that one app can be both site and handler.

local Fields = require "framegate.protocol.fields"
local Host = require "framegate.protocol.host"
local Log = require "framegate.runtime.log"
local Passing = require "framegate.runtime.passing"
local Refusal = require "framegate.public.refusal"
local SocketLog = require "framegate.telemetry.socket_log"

local Site = {}

local BATCH_TYPE = "application/vnd.framegate.batch+json"
local OWN_PREFIXES = { ["ce-"] = true, ["ws-"] = true }
local MOST_OWN = 64 -- nginx goes through all headers to remove one
local OWN_NAMES = { forwarded = true, ["x-real-ip"] = true }

-- A site that reads names as CGI does (RFC 3875 section 4.1.18) cannot distinguish `_` and `.` from `-`.
local function is_own(name)
  name = name:lower():gsub("[_.]", "-")
  return OWN_PREFIXES[name:sub(1, 3)] or OWN_NAMES[name] or name:sub(1, 12) == "x-forwarded-"
end

local function own_names(headers)
  local names = {}
  for name in pairs(headers) do
    if is_own(name) then
      names[#names + 1] = name
    end
  end
  return names
end

local function listed(value) return type(value) == "table" and table.concat(value, ",") or value or "" end

local function check(headers, own)
  local host, own_host = headers.host, ngx.var.own_host
  local is_valid = not host or type(host) == "string" and Host.is_valid(host)
  if not is_valid or own_host ~= "" and not Host.is_valid(own_host) then
    return { status = 400, message = "expected one Host header with a name or an address, and perhaps a port" }
  end
  for name in pairs(headers) do
    if not Fields.is_token(name) then
      return { status = 400, message = "the name of a header has characters that no name may have" }
    end
  end
  if #own > MOST_OWN then
    return { status = 400, message = "too many headers with names that only the gateway may use" }
  end
  if listed(headers["content-type"]):lower():find(BATCH_TYPE, 1, true) then
    return { status = 415, message = BATCH_TYPE .. " is not taken from outside" }
  end
end

-- Returns the headers of the client, or nil after refusing the request.
local function clean()
  local headers, var = Fields.trim(ngx.req.get_headers(0)), ngx.var
  local own = own_names(headers)
  local refusal = check(headers, own)
  if refusal then
    return Refusal.send(refusal)
  end
  local proto, host = var.forwarded_proto, var.forwarded_host -- nginx computes them from headers that are removed now
  for _, name in ipairs(own) do
    ngx.req.clear_header(name)
  end
  ngx.req.set_header("X-Forwarded-Proto", proto)
  ngx.req.set_header("X-Forwarded-Host", host)
  Passing.note()
  return headers
end

local function request()
  local headers = clean()
  if not headers then
    return
  end
  if listed(headers.upgrade):lower() == "websocket" then
    return ngx.exec("@site_stream")
  end
  if listed(headers.accept):lower():find("text/event-stream", 1, true) then
    ngx.req.clear_header("Upgrade")
    return ngx.exec("@site_stream")
  end
end

-- nginx chooses a location by the path without dot segments, but the handler gets the path that was sent. With dot
-- segments, a request could reach routes of the handler that no location names.
local function has_dot_segments(uri)
  local path = ngx.unescape_uri(uri:match("^[^?#]*"))
  return ("/" .. path .. "/"):find("/%.%.?/") ~= nil
end

local function request_of_handler()
  if has_dot_segments(ngx.var.request_uri) then
    return Refusal.send { status = 400, message = "expected a path without dot segments" }
  end
  if clean() then
    ngx.req.clear_header("Upgrade")
  end
end

--- Runs in the rewrite phase of every request that is not a WebSocket handshake.
Site.request = Log.guarded("a request of the site", request)

--- Runs in the rewrite phase of a plain request that handler.conf proxies to the handler.
Site.request_of_handler = Log.guarded("a plain request of the handler", request_of_handler)

-- The reason of a failure, found from nginx's last attempt: the time to connect, and the bytes that came.
local function reason(upstream, var)
  if var.upstream_connect_time:sub(-1) == "-" then
    return "it cannot be reached"
  end
  if ngx.status == 504 then
    return ("it took too long (%s_TIMEOUT)"):format(upstream:upper())
  end
  if var.upstream_bytes_received:match("%d*$") == "0" then
    return "it closed the connection"
  end
  return "its answer is no HTTP, or has headers that are larger than 64 KB"
end

--- Runs when a plain request has ended, and logs its failure. nginx's own line would contain the query.
---@param upstream "site"|"handler"|nil where it was proxied to; nil is the site
function Site.ended(upstream)
  Passing.forget()
  upstream = upstream or "site"
  local var = ngx.var
  local header_time = var.upstream_header_time
  if ngx.status < 500 or header_time and header_time:sub(-1) ~= "-" then
    return
  end
  local what = ngx.req.get_method() .. " " .. SocketLog.path(var.request_uri)
  if not header_time then
    return Log.limited(Log.error, upstream, nil, what, " could not be passed on to the ", upstream, ": ", ngx.status)
  end
  local where = ngx.status .. " (" .. var.upstream_addr .. ")"
  local verb = var.upstream_bytes_received:match("%d*$") == "0" and " gave no answer to "
    or " gave no proper answer to "
  Log.limited(Log.error, upstream, nil, "the ", upstream, verb, what, ": ", where, ": ", reason(upstream, var))
end

return Site
