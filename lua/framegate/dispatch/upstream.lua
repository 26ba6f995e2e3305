-- The addresses behind HANDLER_URL and SITE_URL. nginx looks a name up once, when it starts, and refuses to start
-- when it cannot; here names are looked up every 10 s and when a connection failed, and those that cannot be found are a
-- warning. nginx's upstream blocks ask `balance` for the next address.

local balancer = require "ngx.balancer"
local Config = require "framegate.config"
local Log = require "framegate.runtime.log"

---@class Upstream
---@field refreshed number when names were last looked up, in seconds of the monotonic clock
local Upstream = {}
Upstream.__index = Upstream

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

---@param options { urls: string[], look_up: (fun(host: string): string[]?, string?), now: fun(): number } as Resolver looks
---  names up; a monotonic clock, in seconds
---@return Upstream
function Upstream.new(options)
  local self = setmetatable({
    look_up = options.look_up,
    now = options.now,
    targets = {},
    addresses = {},
    turn = math.random(1000),
    refreshed = 0,
  }, Upstream)
  for i, url in ipairs(options.urls) do
    self.targets[i] = parse(url)
  end
  return self
end

local function add_addresses(self, addresses, target)
  if target.host:find("^unix:") then
    addresses[#addresses + 1] = { target.host }
    return
  end
  local found, err = self.look_up(target.host)
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

--- Looks all names up again. May yield.
function Upstream:refresh()
  local addresses = {}
  for _, target in ipairs(self.targets) do
    add_addresses(self, addresses, target)
  end
  self.addresses, self.refreshed = addresses, self.now()
end

local function take_turn(self)
  self.turn = self.turn % math.max(#self.addresses, 1) + 1
  return self.addresses[self.turn]
end

--- The next address, for a connection that nginx does not make.
---@return table? address host and port; nil while none is known
---@return string? tls_name the host's name when it speaks TLS
function Upstream:next()
  local target = self.targets[1]
  return take_turn(self), target.has_tls and target.host or nil
end

local function refresh_all(premature)
  if premature then
    return
  end
  for _, group in pairs(groups) do
    group:refresh()
  end
end

--- Runs when a worker is put together.
---@param worker { handlers: Upstream, site: Upstream }
function Upstream.wire(worker) groups = { handler = worker.handlers, site = worker.site } end

--- Begins to look names up. Runs in each worker.
function Upstream.start()
  ngx.timer.at(0, refresh_all)
  ngx.timer.every(REFRESH_SECONDS, refresh_all)
end

-- A connection failed: the address may have moved. Once a second at the most.
local function refresh_soon(self)
  if self.now() - self.refreshed > 1 then
    self.refreshed = self.now()
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
    Log.error(nil, name, ": ", err)
    return ngx.exit(ngx.ERROR)
  end
end

return Upstream
