-- HMAC-SHA256 (RFC 2104), and SHA-256 alone, by the OpenSSL with which nginx is linked.
-- The key of a context is prepared once. A message is added in pieces, so that no Lua string is made of it.

local ffi = require "ffi"

-- Names of our own, so that another module may declare the same functions in its own way.
ffi.cdef [[
  void *framegate_hmac_new(void) __asm__("HMAC_CTX_new");
  const void *framegate_sha256(void) __asm__("EVP_sha256");
  int framegate_hmac_init(void *context, const char *key, int length, const void *digest, void *engine) __asm__("HMAC_Init_ex");
  int framegate_hmac_update(void *context, const char *data, size_t length) __asm__("HMAC_Update");
  int framegate_hmac_final(void *context, unsigned char *digest, unsigned int *length) __asm__("HMAC_Final");
  int framegate_digest(const char *data, size_t size, unsigned char *digest, unsigned int *length, const void *type,
    void *engine) __asm__("EVP_Digest");
]]

local DIGEST_BYTES = 32
-- Where the functions are: in nginx itself, or else in the library that Debian and Ubuntu have.
local LIBRARIES = { "libcrypto.so.3", "libcrypto.so.1.1" }

---@class Hmac
---@field private context ffi.cdata* kept as long as the process lives
local Hmac = {}
Hmac.__index = Hmac

local digest = ffi.new("unsigned char[?]", DIGEST_BYTES)
local crypto

local function has_hmac(library)
  return (pcall(function() return library.framegate_hmac_new end))
end

local function find_crypto()
  if has_hmac(ffi.C) then
    return ffi.C
  end
  for _, name in ipairs(LIBRARIES) do
    local is_there, library = pcall(ffi.load, name)
    if is_there and has_hmac(library) then
      return library
    end
  end
  error("signatures need OpenSSL, and none is found: " .. table.concat(LIBRARIES, ", "))
end

--- Makes a context for messages with one key.
---@param key string
---@return Hmac an error if OpenSSL is missing
function Hmac.new(key)
  crypto = crypto or find_crypto()
  local context = crypto.framegate_hmac_new()
  assert(context ~= nil, "no memory for a signature")
  assert(crypto.framegate_hmac_init(context, key, #key, crypto.framegate_sha256(), nil) == 1, "HMAC_Init_ex failed")
  return setmetatable({ context = context }, Hmac)
end

--- Begins a message.
function Hmac:start() assert(crypto.framegate_hmac_init(self.context, nil, 0, nil, nil) == 1, "HMAC_Init_ex failed") end

--- Adds a piece of the message.
---@param text string
function Hmac:add(text) assert(crypto.framegate_hmac_update(self.context, text, #text) == 1, "HMAC_Update failed") end

--- Ends the message.
---@return string digest 32 bytes
function Hmac:finish()
  assert(crypto.framegate_hmac_final(self.context, digest, nil) == 1, "HMAC_Final failed")
  return ffi.string(digest, DIGEST_BYTES)
end

local shared -- a context for keys that are used once

--- Makes the digest of one message.
---@param key string
---@param text string
---@return string digest 32 bytes
function Hmac.digest(key, text)
  shared = shared or Hmac.new(key)
  assert(crypto.framegate_hmac_init(shared.context, key, #key, nil, nil) == 1, "HMAC_Init_ex failed")
  shared:add(text)
  return shared:finish()
end

--- Hashes a text with SHA-256, without a key.
---@param text string
---@return string hash 32 bytes
function Hmac.sha256(text)
  crypto = crypto or find_crypto()
  local type = crypto.framegate_sha256()
  assert(crypto.framegate_digest(text, #text, digest, nil, type, nil) == 1, "EVP_Digest failed")
  return ffi.string(digest, DIGEST_BYTES)
end

return Hmac
