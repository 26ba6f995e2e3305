-- Who may use the resource @connections over TCP: requests that are signed with CONTROL_AWS_SECRET as AWS' SDKs sign them
-- (Signature Version 4). The signature covers the body, so the head is checked before the body is read.

local AwsError = require "framegate.control.aws_error"
local Clock = require "framegate.runtime.clock"
local Hmac = require "framegate.runtime.hmac"
local Secret = require "framegate.runtime.secret"
local Sigv4 = require "framegate.protocol.sigv4"

local AwsAccess = {}

local SERVICE = "execute-api"
local TOLERANCE_MINUTES = 5 -- between the clocks
local MISMATCH = "The request signature we calculated does not match the signature you provided."
  .. " Check your AWS Secret Access Key and signing method."

local secrets = {} -- by the ids of the keys

local function hex(bytes)
  return (bytes:gsub(".", function(character) return ("%02x"):format(character:byte()) end))
end

--- Sets the keys. Runs in the master, where it fails if there are keys and OpenSSL is missing.
---@param config { CONTROL_AWS_KEY_ID: string[], CONTROL_AWS_SECRET: string[] } the secret of each key has its place
function AwsAccess.init(config)
  for i, key_id in ipairs(config.CONTROL_AWS_KEY_ID) do
    secrets[key_id] = config.CONTROL_AWS_SECRET[i]
    Hmac.sha256(key_id)
  end
end

--- Whether a request is signed, rightly or wrongly.
---@param headers table<string, string|string[]>
---@return boolean
function AwsAccess.is_signed(headers)
  local authorization = headers.authorization
  return type(authorization) == "string" and authorization:find("^" .. Sigv4.ALGORITHM:gsub("%-", "%%-")) ~= nil
end

local function is_covered(signed, wanted)
  for _, name in ipairs(signed) do
    if name == wanted then
      return true
    end
  end
  return false
end

local function clock_problem(date)
  local now, tolerance = Clock.unix_time(), TOLERANCE_MINUTES * 60
  local earliest, latest = Sigv4.format(now - tolerance), Sigv4.format(now + tolerance)
  local form
  if date < earliest then
    form = "Signature expired: %s is now earlier than %s (%s - %d min.)"
    return AwsError.new("skewed", form:format(date, earliest, Sigv4.format(now), TOLERANCE_MINUTES))
  elseif date > latest then
    form = "Signature not yet current: %s is still later than %s (%s + %d min.)"
    return AwsError.new("skewed", form:format(date, latest, Sigv4.format(now), TOLERANCE_MINUTES))
  end
end

--- Checks the head of a signed request.
---@param headers table<string, string|string[]>
---@return Sigv4Claim? claim for `refusal`
---@return table? answer the refusal
function AwsAccess.claim(headers)
  local claim, date = Sigv4.read(headers.authorization), headers["x-amz-date"]
  if next(secrets) == nil then
    return nil, AwsError.new("unauthorized", "no key may sign: CONTROL_AWS_KEY_ID and CONTROL_AWS_SECRET are not set")
  elseif not claim or not Sigv4.is_date(date) or date:sub(1, 8) ~= claim.day then
    return nil, AwsError.new("forbidden", "authorization needs Credential, SignedHeaders, Signature, and x-amz-date")
  elseif not is_covered(claim.signed, "host") or not is_covered(claim.signed, "x-amz-date") then
    return nil, AwsError.new("forbidden", "host and x-amz-date must be signed headers")
  elseif not secrets[claim.key_id] then
    return nil, AwsError.new("forbidden", "The security token included in the request is invalid.")
  elseif claim.service ~= SERVICE then
    return nil, AwsError.new("forbidden", "Credential should be scoped to correct service: '" .. SERVICE .. "'.")
  end
  local problem = clock_problem(date)
  return not problem and claim or nil, problem
end

local function signature_of(claim, text)
  local key = "AWS4" .. secrets[claim.key_id]
  for _, part in ipairs { claim.day, claim.region, claim.service, "aws4_request" } do
    key = Hmac.digest(key, part)
  end
  return hex(Hmac.digest(key, text))
end

--- Checks the signature of a request.
---@param claim Sigv4Claim
---@param request { method: string, path: string, headers: table<string, string|string[]>, payload: string }
---@return table? answer nil if the signature is right
function AwsAccess.refusal(claim, request)
  local canonical = Sigv4.canonical({
    method = request.method,
    target = request.path,
    headers = request.headers,
    body_hash = hex(Hmac.sha256(request.payload)),
  }, claim.signed)
  if canonical then
    local text = Sigv4.to_sign(claim, request.headers["x-amz-date"], hex(Hmac.sha256(canonical)))
    if Secret.is_same(claim.signature, signature_of(claim, text)) then
      return nil
    end
  end
  return AwsError.new("forbidden", MISMATCH)
end

return AwsAccess
