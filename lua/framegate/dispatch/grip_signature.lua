-- Grip-Sig: proves to a handler that a request comes from its gateway. It is a JWT with GRIP_ISS as issuer, signed with
-- GRIP_KEY. Libraries refuse requests without it.

local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Jwt = require "framegate.runtime.jwt"

local GripSignature = {}

local LIFE_SECONDS = 3600
local DEFAULT_KEY = "changeme"

local jwt
local last, last_time -- the same within one second

--- Checks that there is what signatures need, where GRIP is in use: an error if OpenSSL is missing.
function GripSignature.check()
  if Config.HANDLER_PROTOCOL == "grip" or Config.GRIP_KEY ~= DEFAULT_KEY then
    Jwt.new(Config.GRIP_KEY)
  end
end

--- Signs now.
---@return string token
function GripSignature.make()
  jwt = jwt or Jwt.new(Config.GRIP_KEY)
  local now = Clock.unix_time()
  if now ~= last_time then
    last, last_time = jwt:sign { iss = Config.GRIP_ISS, exp = now + LIFE_SECONDS }, now
  end
  return last
end

return GripSignature
