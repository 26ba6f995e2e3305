-- Who may ask the control server. On the unix socket the folder is the guard; over TCP a request brings the CONTROL_TOKEN:
-- programs as a bearer token (RFC 6750), a browser as the password of HTTP Basic (RFC 7617), for any user name.
--
-- A browser adds that password by itself, whichever page asks. So what comes without a bearer token must not come from a
-- page of somebody else: Sec-Fetch-Site says so (W3C Fetch Metadata), and Origin where there is no TLS.

local Config = require "framegate.config"
local Origin = require "framegate.protocol.origin"
local Problem = require "framegate.control.problem"
local Secret = require "framegate.runtime.secret"

local Access = {}

local SAFE = { GET = true, HEAD = true }
local DIALOG = 'Basic realm="framegate", charset="UTF-8"'

local function is_token(text) return text ~= nil and Secret.is_same(text, Config.CONTROL_TOKEN) end

-- The name of a scheme may be written in any case (RFC 9110 section 11.1).
local function credentials(authorization, scheme)
  local name, value = authorization:match("^(%a+) +(%S+)$")
  return name and name:lower() == scheme and value or nil
end

local function is_bearer(authorization) return is_token(credentials(authorization, "bearer")) end

local function is_basic(authorization)
  local pair = ngx.decode_base64(credentials(authorization, "basic") or "")
  return is_token(pair and pair:match("^[^:]*:(.*)$"))
end

-- A browser that is to show a page asks people for the token; no script's request brings that dialog up.
local function unknown(request)
  local accept = request.headers.accept
  if SAFE[request.method] and type(accept) == "string" and accept:find("text/html", 1, true) then
    return Problem.new(
      401,
      "sign in with any user name, and the CONTROL_TOKEN as the password",
      { ["WWW-Authenticate"] = DIALOG }
    )
  end
  return Problem.new(401, "send authorization: Bearer with the CONTROL_TOKEN", { ["WWW-Authenticate"] = "Bearer" })
end

-- Following a link shows the page to whoever follows it, and to nobody else.
local function is_own_read(headers)
  local site = headers["sec-fetch-site"]
  return site == nil or site == "same-origin" or site == "none" or headers["sec-fetch-mode"] == "navigate"
end

-- Every browser names the origin of what is no GET; `must_tell` is false where nothing but a program leaves both out.
local function is_own_change(headers, must_tell)
  local site, origin = headers["sec-fetch-site"], headers.origin
  if site == nil and origin == nil then
    return not must_tell
  end
  return (site == nil or site == "same-origin")
    and (
      origin == nil
      or type(origin) == "string" and type(headers.host) == "string" and Origin.is_same_host(origin, headers.host)
    )
end

--- Why a request is refused.
---@param request { method: string, headers: table, is_local: boolean } headers as ngx.req.get_headers gives them; local: by the unix socket
---@return table? problem nil when it may go on
function Access.refusal(request)
  local headers = request.headers
  local authorization = type(headers.authorization) == "string" and headers.authorization or ""
  if not request.is_local and is_bearer(authorization) then
    return nil
  end
  if not request.is_local and not is_basic(authorization) then
    return unknown(request)
  end
  local is_own = SAFE[request.method] and is_own_read(headers)
    or not SAFE[request.method] and is_own_change(headers, not request.is_local)
  return not is_own
      and Problem.new(403, "a page of another origin may not ask this: programs send authorization: Bearer")
    or nil
end

return Access
