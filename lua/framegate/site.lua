-- What a request of the site passes before it is proxied: names that only framegate may use are taken out, so
-- that one app may serve as site and as handler.

local Refusal = require "framegate.refusal"

local Site = {}

local BATCH_TYPE = "application/vnd.framegate.batch+json"
local OWN = { ["ce-"] = true, ["ws-"] = true }

local function is_own(name)
  return OWN[name:sub(1, 3)] or name:sub(1, 12) == "x-forwarded-" or name == "forwarded"
end

--- Runs in the rewrite phase of every request that is not a socket's.
function Site.request()
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

return Site
