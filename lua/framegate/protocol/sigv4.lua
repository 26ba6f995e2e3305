-- AWS Signature Version 4: what the `authorization` header of a request claims, and the text that its signature covers.
-- https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

local Percent = require "framegate.protocol.percent"

local Sigv4 = {}

Sigv4.ALGORITHM = "AWS4-HMAC-SHA256"

-- Every byte is encoded, except for the unreserved ones (RFC 3986 section 2.3).
local function encode(text)
  return (text:gsub("[^%w%-._~]", function(character) return ("%%%02X"):format(character:byte()) end))
end

---@class Sigv4Claim
---@field key_id string of the access key
---@field scope string the credential scope
---@field day string YYYYMMDD
---@field region string
---@field service string
---@field signed string[] names of the signed headers, in lower case
---@field signature string hexadecimal

--- Reads the header `authorization`.
---@param authorization string
---@return Sigv4Claim? claim nil if it is not complete
function Sigv4.read(authorization)
  local fields = {}
  for name, value in authorization:sub(#Sigv4.ALGORITHM + 1):gmatch "(%a+)=([^%s,]+)" do
    fields[name] = value
  end
  local key_id, scope = (fields.Credential or ""):match "^([^/]+)/(.+)$"
  local day, region, service = (scope or ""):match "^(%d%d%d%d%d%d%d%d)/([^/]+)/([^/]+)/aws4_request$"
  if not day or not fields.SignedHeaders or not fields.Signature then
    return nil
  end
  local signed = {}
  for name in fields.SignedHeaders:gmatch "[^;]+" do
    signed[#signed + 1] = name:lower()
  end
  return {
    key_id = key_id,
    scope = scope,
    day = day,
    region = region,
    service = service,
    signed = signed,
    signature = fields.Signature,
  }
end

-- The sent path is encoded once more, whatever it has encoded already, and slashes that follow each other are one.
local function canonical_path(path) return (path:gsub("//+", "/"):gsub("[^/]+", encode)) end

local function canonical_query(query)
  local pairs_of_query = {}
  for pair in query:gmatch "[^&]+" do
    local name, value = pair:match "^([^=]*)=?(.*)$"
    pairs_of_query[#pairs_of_query + 1] = { encode(Percent.decode(name)), encode(Percent.decode(value)) }
  end
  table.sort(pairs_of_query, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end)
  for i, pair in ipairs(pairs_of_query) do
    pairs_of_query[i] = pair[1] .. "=" .. pair[2]
  end
  return table.concat(pairs_of_query, "&")
end

local function canonical_value(value)
  value = type(value) == "table" and table.concat(value, ",") or value
  return (value:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end

--- Writes the canonical form of a request, whose hash is signed.
---@param request { method: string, target: string, headers: table<string, string|string[]>, body_hash: string } `target` as
--- it was sent, with its query; `body_hash` in hexadecimal digits
---@param signed string[] names of headers, in lower case
---@return string? text nil if a signed header is missing
function Sigv4.canonical(request, signed)
  local path, query = request.target:match "^([^?]*)%??(.*)$"
  local lines = { request.method, canonical_path(path), canonical_query(query) }
  for _, name in ipairs(signed) do
    local value = request.headers[name]
    if not value then
      return nil
    end
    lines[#lines + 1] = name .. ":" .. canonical_value(value)
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = table.concat(signed, ";")
  lines[#lines + 1] = request.body_hash
  return table.concat(lines, "\n")
end

--- Writes the text that is signed.
---@param claim Sigv4Claim
---@param date string of the header x-amz-date
---@param hash string of the canonical request, in hexadecimal digits
---@return string
function Sigv4.to_sign(claim, date, hash) return table.concat({ Sigv4.ALGORITHM, date, claim.scope, hash }, "\n") end

--- Writes a time as the header x-amz-date has it, such as 20150830T123600Z. Later times are greater texts.
---@param time integer seconds since 1970
---@return string
function Sigv4.format(time) return tostring(os.date("!%Y%m%dT%H%M%SZ", time)) end

--- Whether a text has that form.
---@param date any
---@return boolean
function Sigv4.is_date(date) return type(date) == "string" and date:find "^%d%d%d%d%d%d%d%dT%d%d%d%d%d%dZ$" ~= nil end

return Sigv4
