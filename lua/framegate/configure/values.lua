-- Reads one configuration value from text.
-- Each function gets the text of an environment variable, and returns the value, or nil and what was expected.

local UpstreamUrl = require "framegate.protocol.upstream_url"

local Values = {}

local SECONDS = { [""] = 1, ms = 0.001, s = 1, m = 60, h = 3600 }
local BYTES = { [""] = 1, k = 1024, m = 1024 * 1024, g = 1024 * 1024 * 1024 }

---@return fun(text: string): number?, string? whole numbers from `low` to `high`
function Values.integer(low, high)
  local expected = ("a whole number from %d to %d"):format(low, high)
  return function(text)
    local value = text:match("^%d+$") and tonumber(text)
    if not value or value < low or value > high then
      return nil, expected
    end
    return value
  end
end

-- `off` is 0.
local function or_off(parse)
  return function(text)
    if text == "off" then
      return 0
    end
    local value, expected = parse(text)
    return value, expected and expected .. ", or off"
  end
end

---@return fun(text: string): number?, string? like integer; `off` is 0
function Values.limit(high) return or_off(Values.integer(0, high)) end

-- A number with a unit behind it, between two bounds.
local function quantity(form, bounds, expected)
  return function(text)
    local digits, unit = text:match(form.pattern)
    local factor = form.units[unit]
    local value = digits and factor and tonumber(digits) * factor
    if not value or value < bounds[1] or value > bounds[2] then
      return nil, expected
    end
    return value
  end
end

---@return fun(text: string): number?, string? seconds, from texts like `25`, `25s`, `500ms`, `2m`
function Values.duration(low, high)
  local expected = ("a time from %gs to %gs, such as 30, 30s, 500ms or 2m"):format(low, high)
  return quantity({ pattern = "^(%d+%.?%d*)(%l*)$", units = SECONDS }, { low, high }, expected)
end

---@return fun(text: string): number?, string? like duration; `off` is 0
function Values.duration_or_off(high) return or_off(Values.duration(0, high)) end

---@return fun(text: string): number?, string? bytes, from texts like `65536`, `64k`, `16m`
function Values.bytes(low, high)
  local expected = ("a size from %d to %d bytes, such as 65536, 64k or 16m"):format(low, high)
  local parse = quantity({ pattern = "^(%d+)([kmg]?)$", units = BYTES }, { low, high }, expected)
  return function(text) return parse(text:lower()) end
end

--- A list separated by commas or white space.
---@param item fun(text: string): any?, string?
---@return fun(text: string): table?, string?
function Values.list(item)
  return function(text)
    local values = {}
    for word in text:gmatch("[^,%s]+") do
      local value, expected = item(word)
      if value == nil then
        return nil, expected
      end
      values[#values + 1] = value
    end
    if not values[1] then
      return item("")
    end
    return values
  end
end

--- A path prefix of the public server for sockets, such as `/ws/`.
function Values.path(text)
  if not text:match("^/[%w%-%._~/]*/$") or text == "/" or text:find("/%.*/") then
    return nil, "a path that begins and ends with a slash and is not / alone, such as /ws/"
  end
  return text
end

--- An absolute path for a unix socket. The kernel's limit for its name is 107 bytes (unix(7)).
function Values.socket_file(text)
  if text:sub(1, 1) ~= "/" or #text > 107 or text:find("[%s;{}\"'$\\]") then
    return nil, "an absolute path of at most 107 bytes, without spaces, quotes or any of ; { } $"
  end
  return text
end

--- An absolute path of a file that nginx reads. Whether the file exists is not checked here.
---@return string?
function Values.file(text)
  if text:sub(1, 1) ~= "/" or text:find("[%s;{}\"'$\\]") then
    return nil, "an absolute path without spaces, quotes or any of ; { } $"
  end
  return text
end

--- A login name, in the form that Debian's adduser allows.
---@return string?
function Values.user(text)
  if not text:match("^[%a_][%w_%.%-]*$") or #text > 32 then
    return nil, "the name of a user, such as www-data"
  end
  return text
end

---@return boolean?
function Values.switch(text)
  if text ~= "on" and text ~= "off" then
    return nil, "on or off"
  end
  return text == "on"
end

--- `off`, `stdout`, `stderr`, or the absolute path of a file.
---@return string? log
function Values.log(text)
  if text == "off" or text == "stdout" or text == "stderr" or text:find("^/.*[^/%s]$") then
    return text
  end
  return nil, "off, stdout, stderr or the absolute path of a file"
end

--- The URL of the site, as UpstreamUrl.http reads it.
---@return string? url
function Values.url(text)
  local target, expected = UpstreamUrl.http(text)
  return target and target.url, expected
end

--- The URLs of a handler, with weights, as UpstreamUrl.list reads them.
---@return string[]? urls each with its weight if that is not 1
function Values.handlers(text)
  local list, expected = UpstreamUrl.list(text)
  if not list then
    return nil, expected
  end
  local texts = {}
  for i, target in ipairs(list) do
    texts[i] = UpstreamUrl.text(target)
  end
  return texts
end

local function is_ipv4(address)
  local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  return a and math.max(a, b, c, d) <= 255
end

--- An address or a network in CIDR form.
function Values.network(text)
  local address, bits = text:match("^([%x:%.]+)/?(%d*)$")
  local ipv6 = address and address:find(":%x*:") and not address:find(":::", 1, true)
  local most = ipv6 and 128 or 32
  if not address or text:find("/$") or not (ipv6 or is_ipv4(address)) or (bits ~= "" and tonumber(bits) > most) then
    return nil, "addresses or networks separated by commas, such as 10.0.0.0/8,fd00::/8"
  end
  return text
end

--- An origin (RFC 6454), `https://*.example.com`, `*`, or `file://` and `null`, which pages from files have.
function Values.origin(text)
  local origin = text:lower()
  if
    origin == "*"
    or origin == "null"
    or origin == "file://"
    or origin:match("^%l[%w+%.%-]*://[%w%.%-_]+:?%d*$")
    or origin:match("^%l+://%*%.[%w%.%-_]+:?%d*$")
    or origin:match("^%l+://%[[%x:%.]+%]:?%d*$")
  then
    return origin
  end
  return nil, "origins separated by commas, such as https://example.com or https://*.example.com, or *"
end

--- Frames a second, which may be a fraction; `off` is 0.
---@return number?
function Values.rate(text)
  if text == "off" then
    return 0
  end
  local value = text:match("^%d+%.?%d*$") and tonumber(text)
  if not value or value > 1000000 or value < 0.01 then
    return nil, "frames a second from 0.01 to 1000000, or off"
  end
  return value
end

--- An address to listen on: `9000` for all addresses, `127.0.0.1:9000` or `[::1]:9000` for one; `off` and 0 for none.
---@return string?
function Values.listen_or_off(text)
  if text == "off" or text == "0" then
    return "off"
  end
  local host, port = text:match("^(.+):(%d+)$")
  local ipv6 = host and host:match("^%[([%x:%.]+)%]$")
  local is_address = not host or is_ipv4(host) or ipv6 and ipv6:find(":") and Values.network(ipv6)
  port = tonumber(port or text:match("^%d+$"))
  if not is_address or not port or port < 1 or port > 65535 then
    return nil, "a port from 1 to 65535, an address and a port such as 127.0.0.1:9000 or [::1]:9000, or off"
  end
  return text
end

--- A secret that is valid in a header.
---@return string?
function Values.token(text)
  if not text:match("^[!-~]+$") or #text < 16 then
    return nil, "at least 16 characters of printable ASCII without spaces"
  end
  return text
end

--- `auto` or a number of worker processes.
function Values.workers(text)
  if text == "auto" then
    return text
  end
  local value = Values.integer(1, 128)(text)
  return value, "auto or a whole number from 1 to 128"
end

return Values
