-- Addresses of a host name, as getaddrinfo(3) would find them but without blocking the worker: /etc/hosts first, then
-- DNS with the servers and search list of /etc/resolv.conf.

local DnsClient = require "nginx.dns.resolver"

local Resolver = {}

local function lines_of(path)
  local file = io.open(path)
  if not file then
    return function() end
  end
  local text = file:read("*a")
  file:close()
  return text:gmatch("[^\r\n]+")
end

local function in_hosts_file(name)
  local found = {}
  for line in lines_of("/etc/hosts") do
    local address, names = line:gsub("#.*", ""):match("^%s*(%S+)%s+(.+)$")
    for word in (names or ""):gmatch("%S+") do
      if word:lower() == name then
        found[#found + 1] = address:find(":", 1, true) and "[" .. address .. "]" or address
      end
    end
  end
  return found[1] and found
end

local function resolver_configuration()
  local servers, search = {}, { "" }
  for line in lines_of("/etc/resolv.conf") do
    local word, rest = line:match("^%s*(%l+)%s+(.+)$")
    if word == "nameserver" and #servers < 3 then
      servers[#servers + 1] = rest:match("^[%x:%.]+")
    elseif word == "search" or word == "domain" then
      for suffix in rest:gmatch("%S+") do
        search[#search + 1] = "." .. suffix
      end
    end
  end
  return servers, search
end

local function query(resolver, name, kind)
  local answers, err = resolver:query(name, { qtype = kind })
  if not answers or answers.errcode then
    return nil, err or answers.errstr
  end
  local found = {}
  for _, answer in ipairs(answers) do
    if answer.type == kind and answer.address then
      found[#found + 1] = kind == resolver.TYPE_AAAA and "[" .. answer.address .. "]" or answer.address
    end
  end
  return found[1] and found, "no address"
end

local function in_dns(name)
  local servers, search = resolver_configuration()
  if not servers[1] then
    return nil, "/etc/resolv.conf names no server"
  end
  local resolver, err = DnsClient:new { nameservers = servers, retrans = 2, timeout = 2000 }
  if not resolver then
    return nil, err
  end
  local found
  for _, suffix in ipairs(search) do
    for _, kind in ipairs { resolver.TYPE_A, resolver.TYPE_AAAA } do
      found, err = query(resolver, name .. suffix, kind)
      if found then
        return found
      end
    end
  end
  return nil, err
end

--- Looks a name up. May yield: not for the phases balancer_by_lua and set_by_lua.
---@param host string a name, an IPv4 address or an IPv6 address in brackets
---@return string[]? addresses IPv6 ones in brackets
---@return string? err
function Resolver.look_up(host)
  if host:find("^%d+%.%d+%.%d+%.%d+$") or host:find("^%[") then
    return { host }
  end
  host = host:lower()
  return in_hosts_file(host) or in_dns(host)
end

return Resolver
