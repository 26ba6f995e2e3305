-- Checks the value of a Host header (RFC 9110 section 7.2, RFC 3986 section 3.2.2).

local Address = require "framegate.protocol.address"

local Host = {}

local function is_name(text)
  return text:match("^[%w%-%._~!$&'()*+,;=%%]+$") ~= nil and not text:gsub("%%%x%x", ""):find("%", 1, true)
end

local function is_address(text)
  local address = text:match("^%[(.*)%]$")
  return address ~= nil and address:find(":", 1, true) ~= nil and Address.parse(address) ~= nil
end

--- Whether a text is a name or an address, with or without a port.
---@param text string without white space around it
---@return boolean
function Host.is_valid(text)
  local host, port = text:match("^(.-):(%d*)$")
  if not host or host:find("^%[[^%]]*$") then
    host, port = text, ""
  end
  return (is_name(host) or is_address(host)) and (port == "" or tonumber(port) <= 65535)
end

return Host
