-- Keeps the addresses behind HANDLER_URL and SITE_URL fresh. nginx looks a name up once, when it starts, and refuses to start
-- when it cannot; here names are looked up every 10 s and when a connection failed, and those that cannot be found are a
-- warning. nginx's upstream blocks ask `balance` for the next address: those of the site, and of plain routes of the handler.

local balancer = require "ngx.balancer"
local Config = require "framegate.config"
local Log = require "framegate.runtime.log"

local Upstream = {}

local REFRESH_SECONDS = 10
local MAX_TRIES = 5

local groups = {}

local refresh_all = Log.caught("looking names up", function(premature)
  if not premature then
    groups.handler:refresh()
    groups.site:refresh()
  end
end)

--- Looks all names up soon.
function Upstream.refresh() ngx.timer.at(0, refresh_all) end

--- Runs when a worker is put together.
---@param worker { handlers: Peers, site: Peers }
function Upstream.wire(worker) groups = { handler = worker.handlers, site = worker.site } end

--- Begins to look names up. Runs in each worker.
function Upstream.start()
  Upstream.refresh()
  ngx.timer.every(REFRESH_SECONDS, refresh_all)
end

-- A repeat goes to the next address.
local function pick(peers, context)
  local failure = balancer.get_last_failure()
  context.tried = context.tried or {}
  if failure and context.peer then
    context.tried[context.peer] = true
    peers:avoid(context.peer, failure)
  elseif #peers.list > 1 then
    balancer.set_more_tries(math.min(#peers.list, MAX_TRIES) - 1)
  end
  context.peer = peers:pick(context.tried) or peers:pick()
  return context.peer
end

--- Names the address to which nginx sends a request, in the phase balancer_by_lua.
---@param name "handler"|"site"
function Upstream.balance(name)
  local peer = pick(groups[name], ngx.ctx)
  if not peer then
    Upstream.refresh()
    peer = { host = "unix:" .. Config.run .. "/internal/no-address-is-known" }
  end
  local ok, err = balancer.set_current_peer(peer.host, peer.port)
  if not ok then
    Log.error(nil, "an address of the ", name, " cannot be used: ", err)
    return ngx.exit(ngx.ERROR)
  end
end

return Upstream
