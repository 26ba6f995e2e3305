-- The addresses behind HANDLER_URL and SITE_URL. nginx looks a name up once, when it starts, and refuses to start
-- when it cannot; here names are looked up every 10 s and when a connection failed, and those that cannot be found are a
-- warning. nginx's upstream blocks ask `balance` for the next address.

local balancer = require "ngx.balancer"
local Config = require "framegate.config"
local Log = require "framegate.runtime.log"
local Resolver = require "framegate.dispatch.resolver"

local Upstream = {}

local REFRESH_SECONDS = 10
local MAX_TRIES = 5

local groups = {}

local function parse(url)
  local file = url:match("^http://(unix:.+)$")
  if file then
    return { host = file }
  end
  local scheme, host, port = url:match("^(https?)://(%[.+%]):?(%d*)$")
  if not scheme then
    scheme, host, port = url:match("^(https?)://([^:]+):?(%d*)$")
  end
  return { host = host, port = tonumber(port) or (scheme == "https" and 443 or 80), has_tls = scheme == "https" }
end

local function add_addresses(addresses, target)
  if target.host:find("^unix:") then
    addresses[#addresses + 1] = { target.host }
    return
  end
  local found, err = Resolver.look_up(target.host)
  if found then
    target.found, target.is_unknown = found, false
  elseif not target.is_unknown then
    target.is_unknown = true
    Log.warn(nil, "the name ", target.host, " cannot be looked up: ", err)
  end
  for _, address in ipairs(target.found or {}) do
    addresses[#addresses + 1] = { address, target.port }
  end
end

local function refresh(group)
  local addresses = {}
  for _, target in ipairs(group.targets) do
    add_addresses(addresses, target)
  end
  group.addresses = addresses
  group.refreshed = ngx.now()
end

local function refresh_all(premature)
  if premature then
    return
  end
  for _, group in pairs(groups) do
    refresh(group)
  end
end

local function new_group(urls)
  local group = { targets = {}, addresses = {}, turn = math.random(1000), refreshed = 0 }
  for i, url in ipairs(urls) do
    group.targets[i] = parse(url)
  end
  return group
end

--- Begins to look names up. Runs in each worker.
function Upstream.start()
  groups.handler, groups.site = new_group(Config.HANDLER_URL), new_group { Config.SITE_URL }
  ngx.timer.at(0, refresh_all)
  ngx.timer.every(REFRESH_SECONDS, refresh_all)
end

local function take_turn(group)
  group.turn = group.turn % math.max(#group.addresses, 1) + 1
  return group.addresses[group.turn]
end

--- The next address of a group, for a connection that nginx does not make.
---@param name "handler"|"site"
---@return table? address host and port; nil while none is known
---@return string? tls_name the host's name when it speaks TLS
function Upstream.next(name)
  local group = groups[name]
  local target = group.targets[1]
  return take_turn(group), target.has_tls and target.host or nil
end

-- A connection failed: the address may have moved. Once a second at the most.
local function refresh_soon(group)
  if ngx.now() - group.refreshed > 1 then
    group.refreshed = ngx.now()
    ngx.timer.at(0, refresh_all)
  end
end

--- Names the peer of a request, in the phase balancer_by_lua. A repeat goes to the next address.
---@param name "handler"|"site"
function Upstream.balance(name)
  local group = groups[name]
  local count = #group.addresses
  if balancer.get_last_failure() then
    refresh_soon(group)
  elseif count > 1 then
    balancer.set_more_tries(math.min(count, MAX_TRIES) - 1)
  end
  local address = take_turn(group)
  if not address then
    refresh_soon(group)
    address = { "unix:" .. Config.run .. "/internal/no-address-is-known" }
  end
  local ok, err = balancer.set_current_peer(address[1], address[2])
  if not ok then
    Log.error(name, "", err)
    return ngx.exit(ngx.ERROR)
  end
end

return Upstream
