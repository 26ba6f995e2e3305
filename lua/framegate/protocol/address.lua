-- Parses IP addresses, and finds the network of a client.
-- Limits per address apply to the network, because an IPv6 client can choose from a whole /64 (RFC 6177 section 2).

local ffi = require "ffi"

ffi.cdef "int inet_pton(int family, const char *text, void *address);"

local Address = {}

local AF_INET, AF_INET6 = 2, 10 -- on Linux
local MAPPED = ("\0"):rep(10) .. "\255\255" -- an IPv4 address written as an IPv6 one (RFC 4291 section 2.5.5.2)
local NETWORK_BYTES = 8

local buffer = ffi.new("unsigned char[16]")

--- Parses an address.
---@param text string such as 203.0.113.7 or 2001:db8::1, without brackets and zone
---@return string? address 4 or 16 bytes in network order (inet_pton(3)); nil if the text is not an address
function Address.parse(text)
  if ffi.C.inet_pton(AF_INET, text, buffer) == 1 then
    return ffi.string(buffer, 4)
  end
  if ffi.C.inet_pton(AF_INET6, text, buffer) == 1 then
    return ffi.string(buffer, 16)
  end
end

--- The network of a client: the whole IPv4 address, or the first /64 of an IPv6 address.
---@param text string as for Address.parse
---@return string network 4 or 8 bytes; the text itself if it is not an address
function Address.network(text)
  local address = Address.parse(text)
  if not address then
    return text
  end
  if address:sub(1, #MAPPED) == MAPPED then
    return address:sub(#MAPPED + 1)
  end
  return address:sub(1, NETWORK_BYTES)
end

return Address
