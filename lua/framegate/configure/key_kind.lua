-- Finds the kind of key in a certificate or in a private key.
-- nginx accepts a pair of different kinds without a warning, and then serves neither.

local KeyKind = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- Algorithm identifiers of keys in DER (RFC 8017 appendix A.1, RFC 5480 section 2.1.1, RFC 8410 section 3).
-- Those of signatures differ in their last bytes.
local ALGORITHMS = {
  RSA = "\42\134\72\134\247\13\1\1\1",
  EC = "\42\134\72\206\61\2\1",
  Ed25519 = "\6\3\43\101\112",
  Ed448 = "\6\3\43\101\113",
}

local function decode(base64)
  local bits, count, bytes = 0, 0, {}
  for character in base64:gmatch("[%w+/]") do
    bits, count = bits * 64 + ALPHABET:find(character, 1, true) - 1, count + 6
    if count >= 8 then
      count = count - 8
      local byte = math.floor(bits / 2 ^ count)
      bytes[#bytes + 1], bits = string.char(byte), bits - byte * 2 ^ count
    end
  end
  return table.concat(bytes)
end

-- The kind of key, or nil if no known one is found, or more than one.
local function kind_in(der)
  local found
  for kind, algorithm in pairs(ALGORITHMS) do
    if der:find(algorithm, 1, true) then
      if found then
        return nil
      end
      found = kind
    end
  end
  return found
end

--- The kind of the first certificate in a file.
---@param pem string
---@return "RSA"|"EC"|"Ed25519"|"Ed448"|nil kind nil if unknown
function KeyKind.of_certificate(pem)
  local body = pem:match("%-%-%-%-%-BEGIN [%w ]*CERTIFICATE%-%-%-%-%-(.-)%-%-%-%-%-END")
  return body and kind_in(decode(body))
end

--- The kind of a private key.
---@param pem string
---@return "RSA"|"EC"|"Ed25519"|"Ed448"|nil kind nil if unknown
function KeyKind.of_key(pem)
  local named = pem:match("%-%-%-%-%-BEGIN (%u+) PRIVATE KEY%-%-%-%-%-")
  if ALGORITHMS[named] then
    return named
  end
  local body = pem:match("%-%-%-%-%-BEGIN PRIVATE KEY%-%-%-%-%-(.-)%-%-%-%-%-END")
  return body and kind_in(decode(body))
end

return KeyKind
