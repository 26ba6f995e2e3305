-- Keeps the addresses of all handlers and of the site fresh, and chooses one for each request that nginx proxies.
-- nginx itself looks a name up once, at its start, and refuses to start when the look-up fails.
-- Here names are looked up every 10 s and after a failed connection, and a failed look-up is only a warning.
-- The upstream blocks of nginx call `balance`: one for the site, one for plain HTTP routes of HANDLER_URL.

local balancer = require "ngx.balancer"
local Config = require "framegate.config"
local Log = require "framegate.runtime.log"

local Upstream = {}

local REFRESH_SECONDS = 10
local MAX_TRIES = 5

local dispatch, site

local refresh = Log.caught("looking names up", function(premature, peers)
  if not premature then
    peers:refresh()
  end
end)

-- Each list has a thread of its own: a name server that is silent delays the others by nothing.
local function refresh_all(premature)
  if not premature then
    ngx.timer.at(0, refresh, site)
    for _, handler in ipairs(dispatch.list) do
      ngx.timer.at(0, refresh, handler.peers)
    end
  end
end

--- Looks the names of some peers up soon. Does not yield.
---@param peers Peers
function Upstream.refresh(peers) ngx.timer.at(0, refresh, peers) end

--- Gives this module the instances of its worker.
---@param worker Worker
function Upstream.wire(worker)
  dispatch, site = worker.dispatch, worker.site
end

--- Begins to look names up every 10 s. Runs in each worker.
function Upstream.start()
  refresh_all()
  ngx.timer.every(REFRESH_SECONDS, refresh_all)
end

-- Chooses an address. A retry goes to another one.
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

--- Sets the address to which nginx sends a request. Runs in the phase balancer_by_lua.
---@param name "handler"|"site"
function Upstream.balance(name)
  local peers = name == "site" and site or dispatch.default.peers
  local peer = pick(peers, ngx.ctx)
  if not peer then
    Upstream.refresh(peers)
    peer = { host = "unix:" .. Config.run .. "/internal/no-address-is-known" }
  end
  local ok, err = balancer.set_current_peer(peer.host, peer.port)
  if not ok then
    Log.error(nil, "an address of the ", name, " cannot be used: ", err)
    return ngx.exit(ngx.ERROR)
  end
end

return Upstream
