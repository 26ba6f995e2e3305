-- What a request of the site passes before it is proxied: names that only framegate may use are taken out, so
-- that one app may serve as site and as handler.

local Log = require "framegate.runtime.log"
local Refusal = require "framegate.public.refusal"
local SocketLog = require "framegate.telemetry.socket_log"

local Site = {}

local BATCH_TYPE = "application/vnd.framegate.batch+json"
local OWN = { ["ce-"] = true, ["ws-"] = true }

local function is_own(name) return OWN[name:sub(1, 3)] or name:sub(1, 12) == "x-forwarded-" or name == "forwarded" end

local function request()
  local headers = ngx.req.get_headers(0)
  for name in pairs(headers) do
    if is_own(name:lower():gsub("_", "-")) then
      ngx.req.clear_header(name)
    end
  end
  local content_type = headers["content-type"]
  if type(content_type) == "table" then
    content_type = table.concat(content_type, ",")
  end
  if type(content_type) == "string" and content_type:lower():find(BATCH_TYPE, 1, true) then
    return Refusal.send { status = 415, message = BATCH_TYPE .. " is not taken from outside" }
  end
  local upgrade = headers.upgrade
  if type(upgrade) == "string" and upgrade:lower() == "websocket" then
    return ngx.exec("@site_socket")
  end
end

--- Runs in the rewrite phase of every request that is not a socket's.
Site.request = Log.guarded("a request of the site", request)

--- Runs when a request of the site has ended: says that nobody answered it, which nginx would say with its query.
---@param upstream string? who was asked, for the log: the site unless it says otherwise
function Site.ended(upstream)
  local header_time = ngx.var.upstream_header_time
  if header_time and header_time:sub(-1) == "-" and ngx.status >= 500 then
    Log.error(
      nil,
      "the ",
      upstream or "site",
      " gave no answer to ",
      ngx.req.get_method(),
      " ",
      SocketLog.path(ngx.var.request_uri),
      ": ",
      ngx.status,
      " (",
      ngx.var.upstream_addr,
      ")"
    )
  end
end

return Site
