-- Finds the addresses of a host name, as getaddrinfo(3) does but without blocking the worker.
-- It searches /etc/hosts first, then DNS with the servers and the search list of /etc/resolv.conf.

local Address = require "framegate.protocol.address"
local Log = require "framegate.runtime.log"

-- Debian has renamed lua-resty-dns.
local is_debian, DnsClient = pcall(require, "nginx.dns.resolver")
if not is_debian then
  DnsClient = require "resty.dns.resolver"
end

local Resolver = {}

local MAX_SERVERS = 3 -- the limit of resolv.conf(5)
local TIMEOUT_MS = 2000
local ROUNDS = 2
local HARD_ERRORS = { [3] = true } -- the name does not exist (RFC 1035 section 4.1.1): no other server is asked

local reported = {} -- servers that cannot be used, so that each is logged once
local preferred -- the server that answered last; it is asked first, so a dead one costs time only once

-- nginx expects an IPv6 address in brackets.
local function in_url(address) return address:find(":", 1, true) and "[" .. address .. "]" or address end

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
      if word:lower() == name and Address.parse(address) then
        found[#found + 1] = in_url(address)
      end
    end
  end
  return found[1] and found
end

local function report(server, reason)
  if not reported[server] then
    reported[server] = true
    Log.warn(nil, "/etc/resolv.conf: the server ", server, " cannot be used: ", reason)
  end
end

local function resolver_configuration()
  local servers, search = {}, { "" }
  for line in lines_of("/etc/resolv.conf") do
    local word, rest = line:match("^%s*(%l+)%s+(.+)$")
    local server = word == "nameserver" and rest:match("^%S+")
    if server and not Address.parse(server) then
      report(server, "it is not an address, or one with a zone, which nginx cannot reach")
    elseif server and #servers < MAX_SERVERS then
      servers[#servers + 1] = server
    elseif word == "search" or word == "domain" then
      for suffix in rest:gmatch("%S+") do
        search[#search + 1] = "." .. suffix
      end
    end
  end
  return servers, search
end

local function clients_of(servers)
  local clients = {}
  for _, server in ipairs(servers) do
    local client, err = DnsClient:new { nameservers = { in_url(server) }, retrans = 1, timeout = TIMEOUT_MS }
    if client then
      table.insert(clients, server == preferred and 1 or #clients + 1, { server = server, client = client })
    else
      report(server, err)
    end
  end
  return clients
end

local function addresses_in(answers, kind)
  local found = {}
  for _, answer in ipairs(answers) do
    if answer.type == kind and answer.address then
      found[#found + 1] = in_url(answer.address)
    end
  end
  return found[1] and found
end

-- Asks one server after another until one answers.
local function query(clients, name, kind)
  local reasons = {}
  for _ = 1, ROUNDS do
    for i, each in ipairs(clients) do
      local answers, err = each.client:query(name, { qtype = DnsClient["TYPE_" .. kind] })
      if answers and not answers.errcode then
        preferred = each.server
        return addresses_in(answers, DnsClient["TYPE_" .. kind]), each.server .. " knows no address of it"
      end
      reasons[i] = ("%s: %s"):format(each.server, err or answers.errstr)
      if answers and HARD_ERRORS[answers.errcode] then
        return nil, each.server .. " knows no such name"
      end
    end
  end
  return nil, table.concat(reasons, ", ")
end

local function in_dns(name)
  local servers, search = resolver_configuration()
  local clients = clients_of(servers)
  if not clients[1] then
    return nil, "/etc/resolv.conf names no server that can be used"
  end
  local first_reason
  for _, suffix in ipairs(search) do
    for _, kind in ipairs { "A", "AAAA" } do
      local found, reason = query(clients, name .. suffix, kind)
      if found then
        return found
      end
      first_reason = first_reason or reason
    end
  end
  return nil, first_reason
end

--- Looks a name up. May yield: not for the phases balancer_by_lua and set_by_lua.
---@param host string a name, an IPv4 address or an IPv6 address in brackets
---@return string[]? addresses IPv6 ones in brackets
---@return string? err why no address was found, in words
function Resolver.look_up(host)
  if Address.parse(host) or host:find("^%[") then
    return { host }
  end
  host = host:lower()
  local found = in_hosts_file(host)
  if found then
    return found
  end
  return in_dns(host)
end

return Resolver
