-- Sends error responses to requests that the gateway refuses.

local cjson = require "cjson.safe"
local Config = require "framegate.config"
local DefaultGateway = require "framegate.public.default_gateway"
local EventStream = require "framegate.protocol.event_stream"
local Handshake = require "framegate.protocol.handshake"
local HttpStatus = require "framegate.protocol.http_status"
local Lifecycle = require "framegate.telemetry.lifecycle"
local Log = require "framegate.runtime.log"
local Utf8 = require "framegate.protocol.utf8"

local Turn = require "framegate.runtime.turn"

local Refusal = {}

local RETRY_SECONDS = 5
local ADVICE = "raise MAX_CONNECTIONS_PER_IP, or, when it is a proxy that many clients come through, "
  .. "name it in TRUSTED_PROXIES"
local BRIDGE_ADVICE = "; it is the default gateway of this machine: in a container all visitors of IPv6 come from it until "
  .. "Docker's network has IPv6 (docs/operating.md, Docker and IPv6)"

-- An EventSource gives up for ever at any other status than 200. So a refusal that passes is an empty stream for it.
local function postpone(refusal)
  ngx.status = ngx.HTTP_OK
  ngx.header["Content-Type"] = EventStream.TYPE
  ngx.print(EventStream.refusal(refusal.status, refusal.message, refusal.headers["Retry-After"]))
  return ngx.exit(ngx.HTTP_OK)
end

--- Sends a JSON body in the format of Fastify's own errors, and ends the request.
--- It waits for the next turn first. Otherwise nginx would answer all requests that were sent together in one turn, and the
--- sockets of the worker would wait for as long.
---@param refusal { status: integer, message: string, headers: table? }
function Refusal.send(refusal)
  Turn.next()
  local status = refusal.status
  if refusal.headers and refusal.headers["Retry-After"] and Handshake.is_for_stream(ngx.req.get_headers(0)) then
    return postpone(refusal)
  end
  ngx.req.clear_header "Expect" -- nginx would ask for the body, with a 100
  ngx.status = status
  ngx.header["Content-Type"] = "application/json"
  for name, value in pairs(refusal.headers or {}) do
    ngx.header[name] = value
  end
  local body = cjson.encode { statusCode = status, error = HttpStatus.name(status), message = refusal.message }
  ngx.print(Utf8.scrub(body), "\n") -- an origin need not be UTF-8, JSON is (RFC 8259 section 8.1)
  return ngx.exit(ngx.HTTP_OK)
end

local function warn(address)
  local is_bridge = address == DefaultGateway.address()
  local advice = is_bridge and BRIDGE_ADVICE or ""
  Log.limited(
    Log.warn,
    "too many sockets",
    nil,
    address,
    " has ",
    Config.MAX_CONNECTIONS_PER_IP,
    " sockets and is refused more: ",
    ADVICE,
    advice
  )
end

local function too_many_sockets()
  Lifecycle.refused("address", 429)
  warn(ngx.var.remote_addr)
  return Refusal.send {
    status = 429,
    message = ("at most %d sockets may be open from one address"):format(Config.MAX_CONNECTIONS_PER_IP),
    headers = { ["Retry-After"] = RETRY_SECONDS },
  }
end

--- Refuses a socket of an address that has MAX_CONNECTIONS_PER_IP sockets already.
Refusal.too_many_sockets = Log.guarded("a refusal", too_many_sockets)

return Refusal
