-- Negotiates the extension permessage-deflate (RFC 7692 section 7.1): the client's offers in, the gateway's answer out.
-- It agrees that no message refers to an earlier one, in neither direction, so that an idle socket needs no memory for it.

local Fields = require "framegate.protocol.fields"

local PermessageDeflate = {}

--- The name of the extension.
PermessageDeflate.NAME = "permessage-deflate"

local BACKSLASH, QUOTE = ('\\"'):byte(1, 2)
local LARGEST_WINDOW = 15
local SMALLEST_WINDOW = 9 -- zlib writes no raw deflate data for a window of 8 bits

-- Splits a text at a separator that is not in a quoted string (RFC 9110 section 5.6.4).
local function split(text, separator)
  local pieces, first, is_quoted, i = {}, 1, false, 1
  while i <= #text do
    local character = text:byte(i)
    if character == BACKSLASH and is_quoted then
      i = i + 1
    elseif character == QUOTE then
      is_quoted = not is_quoted
    elseif character == separator and not is_quoted then
      pieces[#pieces + 1], first = Fields.trim_value(text:sub(first, i - 1)), i + 1
    end
    i = i + 1
  end
  pieces[#pieces + 1] = Fields.trim_value(text:sub(first))
  return pieces
end

-- Reads one parameter. Returns nil when it is malformed; its value is "" when it has none.
local function read_parameter(text)
  local name, value = text:match("^([^=]*)=(.*)$")
  if not name then
    return Fields.is_token(text) and text or nil, ""
  end
  name, value = Fields.trim_value(name), Fields.trim_value(value)
  local quoted = value:match('^"(.*)"$')
  value = quoted and quoted:gsub("\\(.)", "%1") or value
  if Fields.is_token(name) and Fields.is_token(value) then
    return name, value
  end
end

local function is_empty(value) return value == "" end
local function is_window(value) return value:match("^[89]$") ~= nil or value:match("^1[0-5]$") ~= nil end

-- What each parameter may be.
local PARAMETERS = {
  server_no_context_takeover = is_empty,
  client_no_context_takeover = is_empty,
  server_max_window_bits = is_window,
  client_max_window_bits = function(value) return is_empty(value) or is_window(value) end,
}

-- Reads the parameters of an offer. Returns nil when it must be declined (RFC 7692 section 7.1).
local function read_offer(pieces)
  local offer = {}
  for i = 2, #pieces do
    local name, value = read_parameter(pieces[i])
    local is_valid = name and PARAMETERS[name]
    if not is_valid or offer[name] or not is_valid(value) then
      return nil
    end
    offer[name] = value
  end
  return offer
end

local function answer_to(bits)
  return PermessageDeflate.NAME
    .. "; server_no_context_takeover; client_no_context_takeover"
    .. (bits and "; server_max_window_bits=" .. bits or "")
end

--- Takes the first offer that the gateway can meet. The others are declined, as are other extensions.
---@param offered string|string[]|nil Sec-WebSocket-Extensions of the client
---@return integer? window_bits 9 to 15: the window in which the gateway must compress; nil when nothing is agreed
---@return string? answer Sec-WebSocket-Extensions of the gateway
function PermessageDeflate.negotiate(offered)
  local text = type(offered) == "table" and table.concat(offered, ",") or offered or ""
  for _, extension in ipairs(split(text, (","):byte())) do
    local pieces = split(extension, (";"):byte())
    local offer = pieces[1] == PermessageDeflate.NAME and read_offer(pieces)
    local bits = offer and tonumber(offer.server_max_window_bits)
    if offer and (not bits or bits >= SMALLEST_WINDOW) then
      return bits or LARGEST_WINDOW, answer_to(bits)
    end
  end
end

return PermessageDeflate
