-- Headers of a handshake that no handler gets as they are: those of one connection (RFC 9110 section 7.6.1), those that
-- describe the request of an event, and those that only the gateway writes.

local ReservedHeaders = {}

local NAMES = {
  "host",
  "connection",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "proxy", -- httpoxy.org
  "proxy-connection",
  "proxy-authorization",
  "forwarded",
  "accept-encoding",
}
local PREFIXES = { "^ce%-", "^content%-", "^x%-forwarded%-", "^webhook%-", "^framegate%-" }

--- Makes a function that knows these headers and some more.
---@param names string[] in lower case
---@param prefixes string[] Lua patterns
---@return fun(name: string): boolean is_reserved takes a name in lower case. A handler that reads names as CGI does cannot
--- distinguish `_` and `.` from `-`, so they are the same here
function ReservedHeaders.with(names, prefixes)
  local has, patterns = {}, {}
  for _, list in ipairs { NAMES, names } do
    for _, name in ipairs(list) do
      has[name] = true
    end
  end
  for _, list in ipairs { PREFIXES, prefixes } do
    for _, prefix in ipairs(list) do
      patterns[#patterns + 1] = prefix
    end
  end
  return function(name)
    name = name:gsub("[_.]", "-")
    for _, pattern in ipairs(patterns) do
      if name:find(pattern) then
        return true
      end
    end
    return has[name] == true
  end
end

return ReservedHeaders
