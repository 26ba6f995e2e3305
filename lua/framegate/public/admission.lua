-- Decides whether a request may become a socket, before it reaches a handler: checks its path, its handshake and whether
-- this worker has room.
-- It also makes the key under which nginx counts the sockets of an address.

local Address = require "framegate.protocol.address"
local Config = require "framegate.config"
local Handshake = require "framegate.protocol.handshake"
local Host = require "framegate.protocol.host"
local Log = require "framegate.runtime.log"
local RequestEnd = require "framegate.socket.request_end"
local Resumption = require "framegate.socket.resumption"
local SessionRequest = require "framegate.session.request"

local Admission = {}

local members
local has_warned = false

--- Gives this module the instances of its worker.
---@param worker Worker
function Admission.wire(worker) members = worker.members end

-- nginx chose this location by the normalized path, but the handler gets the path that was sent. nginx merges slashes after
-- decoding, so the two may differ. An encoded slash is data (RFC 3986 section 2.2).
local function check_path()
  local sent = ngx.var.request_uri:match("^[^?]*")
  local decoded = ngx.unescape_uri((sent:gsub("%+", "%%2B"))):gsub("//+", "/")
  if sent:find("//", 1, true) or decoded ~= ngx.var.uri then
    return { status = 400, message = "expected a path without dot segments and doubled slashes" }
  end
end

-- The host of an absolute target overrides the Host header, which handshake.lua checks.
local function check_target_host()
  if not Host.is_valid(ngx.var.own_host) then
    return { status = 400, message = "expected a target with a name or an address, and perhaps a port" }
  end
end

local function check_handshake(headers)
  local refusal = Handshake.check {
    method = ngx.req.get_method(),
    http_version = ngx.req.http_version(),
    headers = headers,
    host = ngx.var.forwarded_host,
    allowed_origins = Config.ALLOWED_ORIGINS,
  }
  if refusal and refusal.origin then
    local advice = refusal.can_be_listed and " (ALLOWED_ORIGINS=" .. refusal.origin .. ")" or ""
    Log.limited(Log.warn, "origin", ngx.var.remote_addr, refusal.message, advice)
  end
  return refusal
end

local function warn_once()
  if not has_warned then
    has_warned = true
    local count, remedy = RequestEnd.total(), Config.capacity.remedy
    Log.warn(nil, "this worker holds ", count, " sockets and takes no more: raise ", remedy)
  end
end

-- A place is a connection of nginx. So handshakes that wait for the handler count too, and ended sockets whose connection
-- nginx still holds.
local function check_room()
  if members:has_left() then
    return {
      cause = "leaving",
      status = 503,
      message = "this worker of the gateway is going away, another is there",
      headers = { ["Retry-After"] = 0 },
    }
  end
  if RequestEnd.total() < Config.capacity.sockets then
    return nil
  end
  warn_once()
  return {
    cause = "full",
    status = 503,
    message = "this gateway holds as many sockets as it can",
    headers = { ["Retry-After"] = 5 },
  }
end

--- Checks this request.
---@param headers table<string, string|string[]>
---@return table? refusal as Refusal.send takes it, with a `cause` of framegate_sockets_refused_total; nil when it may go on
function Admission.check(headers)
  local refusal = check_path() or check_handshake(headers) or check_target_host() or check_room()
  if refusal then
    refusal.cause = refusal.cause or "handshake"
  end
  return refusal
end

-- Whether the client of this request comes back to a session. Then it replaces a request that may still be counted.
local function is_return()
  local _, value = SessionRequest.split(ngx.var.request_uri)
  local var, wanted = ngx.var, nil
  if Handshake.is_for_stream { accept = var.http_accept, upgrade = var.http_upgrade } then
    wanted = SessionRequest.of_stream(var.http_last_event_id, value)
  elseif value then
    wanted = SessionRequest.read(value)
  end
  return wanted and Resumption.is_expected(wanted.key)
end

--- The key under which limit_conn counts: the address (an IPv6 client's /64) and the generation.
--- limit_conn never forgets the sockets of a killed worker, so each new generation starts its own count. It does not count a
--- client that comes back: address_count.lua has counted its socket.
---@return string key empty for a request that is not counted
function Admission.limit_key()
  if is_return() then
    return ""
  end
  return Address.network(ngx.var.remote_addr) .. members:generation()
end

return Admission
