-- URLs of servers behind the gateway: a site, a handler, and the weighted list of addresses that makes up one handler.
-- `lua/configure.lua` checks settings with this file, and workers use what it returns.

local UpstreamUrl = {}

---@class UpstreamUrl
---@field url string
---@field scheme "http"|"https"|"fastcgi"
---@field host string a name, an address, an IPv6 address in brackets, or unix:/path
---@field port integer?
---@field has_tls boolean?
---@field is_verified boolean? whether its certificate is checked
---@field tls_name string? the host name for TLS's server name; an address has none (RFC 6066 section 3)
---@field script string? FastCGI: the PHP file
---@field keep integer? FastCGI: how many idle connections all workers keep
---@field weight integer? in a list

local HTTP = "http://host:port, https://host:port or http://unix:/path/to.sock, without a path behind it"
local FASTCGI = "fastcgi://host:port?script=/path/to.php or fastcgi://unix:/path/to.sock?script=/path/to.php, "
  .. "with &keep=N from 0 to 1000 behind it if connections are kept"
local ONE_SCHEME = "URLs of one scheme: all http, all https or all fastcgi"
local WEIGHT = "weight=N, a whole number from 1 to 1000, behind a URL"
local LONG = "at most 2000 bytes"

local MAX_BYTES = 2000 -- of a list
local MAX_PATH = 107 -- bytes of a unix socket's path (unix(7))
local MAX_SCRIPT = 1024
local MAX_NUMBER = 1000
local UNSAFE = "[%s;{}\"'$\\]"

local function number(text, low, high)
  local value = #text <= 6 and text:match("^%d+$") and tonumber(text)
  return value and value >= low and value <= high and value or nil
end

local function unix_socket(path, scheme)
  if #path > MAX_PATH then
    return nil, "a unix socket path of at most 107 bytes"
  end
  return { scheme = scheme, host = "unix:" .. path }
end

local function host_and_port(text)
  local host, port = text:match("^([%w%.%-_]+):?(%d*)$")
  if not host then
    host, port = text:match("^(%[[%x:%.]+%]):?(%d*)$")
  end
  if not host or text:find(":$") or port ~= "" and not number(port, 1, 65535) then
    return nil
  end
  return host, tonumber(port)
end

--- Reads `http://host[:port]`, `https://host[:port]`, `http://[ipv6]:port` or `http://unix:/path/to.sock`.
---@param text string
---@return UpstreamUrl?
---@return string? expected in words
function UpstreamUrl.http(text)
  local path = text:match("^http://unix:(/.+)$")
  if path and not path:find(UNSAFE) then
    local target, expected = unix_socket(path, "http")
    if target then
      target.url = text
    end
    return target, expected
  end
  local scheme, place = text:match("^(https?)://(.-)/?$")
  local host, port = host_and_port(place or "")
  if not host then
    return nil, HTTP
  end
  local has_tls = scheme == "https"
  local is_name = not host:find("^[%d%.]+$") and not host:find("^%[")
  return {
    url = (text:gsub("/$", "")),
    scheme = scheme,
    host = host,
    port = port or (has_tls and 443 or 80),
    has_tls = has_tls,
    tls_name = has_tls and is_name and host or nil,
  }
end

--- Reads `http://host[:port]` or `https://host[:port]`, with a path behind it.
---@param text string
---@return UpstreamUrl? target
---@return string path_or_expected the path without a slash at its end; or what was expected, in words
function UpstreamUrl.with_path(text)
  local base, path = text:match("^(https?://[^/]+)([%w%-%._~/%%]*)$")
  local target = base and UpstreamUrl.http(base)
  if not target then
    return nil, "http://host:port or https://host:port, with or without a path behind it"
  end
  return target, (path:gsub("/+$", ""))
end

-- The part behind the question mark.
local function fastcgi_options(target, query)
  for name, value in (query .. "&"):gmatch("(%w+)=([^&]*)&") do
    if name == "script" and value:find("^/[^%z]*[^/]$") and not value:find(UNSAFE) and #value <= MAX_SCRIPT then
      target.script = value
    elseif name == "keep" and number(value, 0, MAX_NUMBER) then
      target.keep = tonumber(value)
    else
      return nil
    end
  end
  return target.script and not query:find("^&") and not query:find("&&") and not query:find("&$")
end

local function fastcgi(text)
  local place, query = text:match("^fastcgi://([^?]+)%?(.+)$")
  if not place then
    return nil, FASTCGI
  end
  local path = place:match("^unix:(/.+)$")
  local target, expected
  if path and not path:find(UNSAFE) then
    target, expected = unix_socket(path, "fastcgi")
  else
    local host, port = host_and_port(place)
    target = port and { scheme = "fastcgi", host = host, port = port }
  end
  if not target or not fastcgi_options(target, query) then
    return nil, expected or FASTCGI
  end
  target.url = text
  return target
end

--- Reads the URL of a handler: as `http`, or `fastcgi://host:port?script=/path/to.php`, with `unix:/path/to.sock` in place
--- of host and port, and with `&keep=N`.
---@param text string
---@return UpstreamUrl?
---@return string? expected in words
function UpstreamUrl.handler(text)
  if text:find("^fastcgi:") then
    return fastcgi(text)
  end
  local target, expected = UpstreamUrl.http(text)
  return target,
    expected == HTTP and "http://host:port, https://host:port, http://unix:/path/to.sock or " .. FASTCGI or expected
end

-- Adds a word of a list: a URL, or the weight of the one before it.
local function add_word(list, word)
  local weight = word:match("^weight=(.*)$")
  local last = list[#list]
  if weight then
    local value = number(weight, 1, MAX_NUMBER)
    if not value or not last or last.weight then
      return WEIGHT
    end
    last.weight = value
    return nil
  end
  local target, expected = UpstreamUrl.handler(word)
  if target and last and target.scheme ~= last.scheme then
    return ONE_SCHEME
  end
  list[#list + 1] = target
  return expected
end

--- Reads a list of URLs with weights: `http://a:3000 weight=3, http://b:3000`. Commas or white space are between them.
---@param text string
---@return UpstreamUrl[]? targets each with a weight
---@return string? expected in words
function UpstreamUrl.list(text)
  if #text > MAX_BYTES then
    return nil, LONG
  end
  local list = {}
  for word in text:gmatch("[^,%s]+") do
    local expected = add_word(list, word)
    if expected then
      return nil, expected
    end
  end
  if not list[1] then
    return UpstreamUrl.handler("")
  end
  for _, target in ipairs(list) do
    target.weight = target.weight or 1
  end
  return list
end

--- Writes a target as it stands in a list. Equal targets give equal texts.
---@param target UpstreamUrl
---@return string
function UpstreamUrl.text(target) return target.weight > 1 and target.url .. " weight=" .. target.weight or target.url end

return UpstreamUrl
