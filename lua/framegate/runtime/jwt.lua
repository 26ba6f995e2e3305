-- JSON Web Tokens (RFC 7519) that are signed with HMAC-SHA256 (HS256, RFC 7518 section 3.2).

local cjson = require "cjson.safe"
local Hmac = require "framegate.runtime.hmac"
local Secret = require "framegate.runtime.secret"

---@class Jwt
---@field private hmac Hmac
local Jwt = {}
Jwt.__index = Jwt

local MAX_BYTES = 4096 -- of a token

-- base64url without padding (RFC 4648 section 5)
local function encode(bytes) return (ngx.encode_base64(bytes, true):gsub("[+/]", { ["+"] = "-", ["/"] = "_" })) end

local function decode(text)
  return text:find("^[%w_-]*$") and ngx.decode_base64((text:gsub("[_-]", { ["-"] = "+", ["_"] = "/" }))) or nil
end

local HEADER = encode '{"typ":"JWT","alg":"HS256"}'

--- Makes what signs and verifies with one key.
---@param key string the key itself, or `base64:` and the key in base64
---@return Jwt an error if OpenSSL is missing
function Jwt.new(key)
  local base64 = key:match("^base64:(.*)$")
  return setmetatable({ hmac = Hmac.new(base64 and assert(ngx.decode_base64(base64)) or key) }, Jwt)
end

local function signature(self, text)
  self.hmac:start()
  self.hmac:add(text)
  return self.hmac:finish()
end

--- Signs claims.
---@param claims table that JSON can represent
---@return string token
function Jwt:sign(claims)
  local text = HEADER .. "." .. encode(cjson.encode(claims))
  return text .. "." .. encode(signature(self, text))
end

-- What the first or second part of a token holds, if that is an object.
local function object_of(part)
  local value = cjson.decode(decode(part) or "")
  return type(value) == "table" and value or {}
end

--- Whether a token was signed with the key, and its time is not over: it must have one.
---@param token string
---@param now number in seconds since 1970
---@return boolean
function Jwt:is_good(token, now)
  local header, claims, given = token:match("^([^.]+)%.([^.]+)%.([^.]+)$")
  if not header or #token > MAX_BYTES or object_of(header).alg ~= "HS256" then
    return false
  end
  local expires = object_of(claims).exp
  local is_signed = Secret.is_same(decode(given) or "", signature(self, header .. "." .. claims))
  return is_signed and type(expires) == "number" and expires > now
end

return Jwt
