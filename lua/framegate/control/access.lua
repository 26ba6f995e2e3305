-- Access control of the control server. On the unix socket the permissions of its folder decide.
-- Over TCP every request needs the CONTROL_TOKEN. Programs send it as a bearer token (RFC 6750).
-- Browsers send it as the password of HTTP Basic (RFC 7617), with any user name.
--
-- A browser adds that password to the requests of every page. So a request without a bearer token must not come from a
-- page of another site. Sec-Fetch-Site shows that (W3C Fetch Metadata), and Origin where there is no TLS.

local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Jwt = require "framegate.runtime.jwt"
local Origin = require "framegate.protocol.origin"
local Problem = require "framegate.control.problem"
local Secret = require "framegate.runtime.secret"

local Access = {}

local NO_KEY = "changeme"
local SAFE = { GET = true, HEAD = true }
local DIALOG = 'Basic realm="framegate", charset="UTF-8"'

local function is_token(text) return text ~= nil and Secret.is_same(text, Config.CONTROL_TOKEN) end

-- The name of a scheme is case-insensitive (RFC 9110 section 11.1).
local function credentials(authorization, scheme)
  local name, value = authorization:match("^(%a+) +(%S+)$")
  return name and name:lower() == scheme and value or nil
end

local function is_bearer(authorization) return is_token(credentials(authorization, "bearer")) end

local function is_basic(authorization)
  local pair = ngx.decode_base64(credentials(authorization, "basic") or "")
  return is_token(pair and pair:match("^[^:]*:(.*)$"))
end

-- Publishers of GRIP have a key of their own, which opens nothing else: as a bearer token, or in a JWT that it has signed.
-- The default key is known to everybody, so it opens nothing.
local jwt

local function is_publisher(path, authorization)
  local token = path:find("^/publish/?$") and Config.GRIP_KEY ~= NO_KEY and credentials(authorization, "bearer")
  if not token then
    return false
  end
  jwt = jwt or Jwt.new(Config.GRIP_KEY)
  return Secret.is_same(token, Config.GRIP_KEY) or jwt:is_good(token, Clock.unix_time())
end

-- Only for a page does the browser ask its user for the token. Requests of scripts do not open that dialog.
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

-- A navigation from another site is safe: it shows the page only to the user.
local function is_own_read(headers)
  local site = headers["sec-fetch-site"]
  return site == nil or site == "same-origin" or site == "none" or headers["sec-fetch-mode"] == "navigate"
end

-- Every browser names the origin of a request that is not a GET.
-- `must_have_origin` is false where a request without both headers can only come from a program.
local function is_own_change(headers, must_have_origin)
  local site, origin = headers["sec-fetch-site"], headers.origin
  if site == nil and origin == nil then
    return not must_have_origin
  end
  return (site == nil or site == "same-origin")
    and (
      origin == nil
      or type(origin) == "string" and type(headers.host) == "string" and Origin.is_same_host(origin, headers.host)
    )
end

--- Checks whether a request is allowed.
--- `headers` come from ngx.req.get_headers. `is_local` is true for the unix socket.
---@param request { method: string, path: string, headers: table, is_local: boolean } `path`: with the query
---@return table? problem nil when it is allowed
function Access.refusal(request)
  local headers = request.headers
  local authorization = type(headers.authorization) == "string" and headers.authorization or ""
  if not request.is_local and (is_bearer(authorization) or is_publisher(request.path, authorization)) then
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
