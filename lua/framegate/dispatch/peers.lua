-- The addresses behind a list of URLs, and the state of each: whether it can be reached, and how many connections are
-- being made. An address that failed is avoided for a while, so that events go to one that can be reached.
-- Those that can be reached take turns by their weights, as nginx's "smooth weighted round robin" has it.

local Log = require "framegate.runtime.log"

---@class Peer one address
---@field url string
---@field host string an address, an IPv6 address in brackets, or unix:/path
---@field port integer?
---@field has_tls boolean?
---@field tls_name string? as UpstreamUrl
---@field is_verified boolean? whether its certificate is checked
---@field script string? as UpstreamUrl
---@field pool_size integer? FastCGI: how many idle connections this worker keeps
---@field weight integer
---@field current number what it is ahead of its share; the one that is ahead most is next
---@field options { pool: string } for connect; connections of one pool are interchangeable
---@field failures integer connections that failed in a row; 0 while it lives
---@field retry_at number when it may be tried again, in seconds of the monotonic clock
---@field connecting integer how many connections are being made
---@field connecting_since number? when the first of them began, in seconds of the monotonic clock

---@class Peers
---@field list Peer[]
---@field refreshed number when names were last looked up, in seconds of the monotonic clock
local Peers = {}
Peers.__index = Peers

local MAX_PAUSE = 10 -- seconds before an address that failed is tried again; the first pause is one second
local STUCK_SECONDS = 0.1 -- of connecting, after which other lanes avoid an address
local REFRESH_PAUSE = 1 -- seconds between two look-ups after failures

---@param options { name: string, targets: UpstreamUrl[], look_up: (fun(host: string): string[]?, string?),
---  now: (fun(): number), on_failed: fun(self: Peers)? } `name`: "handler" or "site", for the log; `look_up`: as Resolver.look_up;
---  `now`: a monotonic clock, in seconds; `on_failed`: called when a connection failed and names should be looked up
---  again
---@return Peers
function Peers.new(options)
  return setmetatable({
    name = options.name,
    look_up = options.look_up,
    now = options.now,
    on_failed = options.on_failed,
    targets = options.targets,
    found = {}, -- addresses of each target, as last found
    is_unknown = {},
    list = {},
    refreshed = 0,
  }, Peers)
end

-- The share of this worker in what all workers keep together.
local function share_of(number)
  local count = ngx.worker.count()
  return math.floor(number / count) + (ngx.worker.id() < number % count and 1 or 0)
end

local function new_peer(target, host)
  return {
    url = target.url,
    host = host,
    port = target.port,
    has_tls = target.has_tls,
    tls_name = target.tls_name,
    is_verified = target.is_verified,
    script = target.script,
    pool_size = target.script and share_of(target.keep or 0),
    weight = target.weight or 1,
    current = math.random() * (target.weight or 1), -- so that workers do not begin with the same one
    options = { pool = target.url .. " " .. host },
    failures = 0,
    retry_at = 0,
    connecting = 0,
  }
end

-- An address keeps its state when its name is looked up again.
local function find_or_make(self, target, host)
  for _, peer in ipairs(self.list) do
    if peer.url == target.url and peer.host == host then
      return peer
    end
  end
  return new_peer(target, host)
end

local function addresses_of(self, target)
  if not target.port then
    return { target.host }
  end
  local found, err = self.look_up(target.host)
  if found then
    self.found[target], self.is_unknown[target] = found, nil
  elseif not self.is_unknown[target] then
    self.is_unknown[target] = true
    Log.warn(nil, "the name ", target.host, " cannot be looked up: ", err)
  end
  return self.found[target] or {}
end

--- Looks all names up again. May yield.
function Peers:refresh()
  self.refreshed = self.now()
  local list = {}
  for _, target in ipairs(self.targets) do
    for _, host in ipairs(addresses_of(self, target)) do
      list[#list + 1] = find_or_make(self, target, host)
    end
  end
  self.list = list
end

-- How good a choice a peer is; 0 is the best: it lives, or may be tried again.
-- A peer whose connections hang ranks lower, so that other lanes do not wait there.
local function rank_of(peer, time)
  local is_stuck = peer.connecting > 0 and time - peer.connecting_since > STUCK_SECONDS
  if peer.failures == 0 then
    return is_stuck and 1 or 0
  end
  if peer.connecting > 0 then
    return 3
  end
  return time >= peer.retry_at and 0 or 2
end

-- The lowest rank among those that were not tried, or nil.
local function best_rank_of(self, tried, time)
  local best
  for _, peer in ipairs(self.list) do
    if not (tried and tried[peer]) then
      local rank = rank_of(peer, time)
      best = best and math.min(best, rank) or rank
    end
  end
  return best
end

--- Chooses the next peer in turn that lives, or that failed and may be tried again. If there is none, any peer.
---@param tried table<Peer, true>? those that this request has tried
---@return Peer? peer nil when every known peer was tried
function Peers:pick(tried)
  local time, total, chosen = self.now(), 0, nil
  local best = best_rank_of(self, tried, time)
  for _, peer in ipairs(best and self.list or {}) do
    if not (tried and tried[peer]) and rank_of(peer, time) == best then
      peer.current, total = peer.current + peer.weight, total + peer.weight
      if not chosen or peer.current > chosen.current then
        chosen = peer
      end
    end
  end
  if chosen then
    chosen.current = chosen.current - total
  end
  return chosen
end

local function has_other_that_lives(self, peer)
  for _, other in ipairs(self.list) do
    if other ~= peer and other.failures == 0 then
      return true
    end
  end
  return false
end

--- How long connecting may take. It is shorter when another peer can serve the request.
---@param peer Peer
---@return number milliseconds
function Peers:connect_ms(peer)
  if peer.failures > 0 and #self.list > 1 then
    return 250
  end
  return has_other_that_lives(self, peer) and 500 or 2000
end

local function where(peer) return peer.host .. (peer.port and ":" .. peer.port or "") end

--- Records that a connection is being made.
---@param peer Peer
function Peers:begin(peer)
  if peer.connecting == 0 then
    peer.connecting_since = self.now()
  end
  peer.connecting = peer.connecting + 1
end

--- Records that a connection was made.
---@param peer Peer
function Peers:succeeded(peer)
  peer.connecting = peer.connecting - 1
  if peer.failures > 0 then
    peer.failures = 0
    if #self.list > 1 then
      Log.warn(nil, "the ", self.name, " at ", where(peer), " can be reached again")
    end
  end
end

--- Records that a connection could not be made, and avoids the peer.
---@param peer Peer
---@param err string
function Peers:failed(peer, err)
  peer.connecting = peer.connecting - 1
  self:avoid(peer, err)
end

--- Avoids a peer that does not answer: for 1 second, then for 2, 4, up to 10. Names are looked up again.
---@param peer Peer
---@param err string
function Peers:avoid(peer, err)
  local time = self.now()
  if peer.failures == 0 and has_other_that_lives(self, peer) then
    Log.warn(nil, "the ", self.name, " at ", where(peer), " cannot be reached, and another is asked: ", err)
  end
  peer.failures = peer.failures + 1
  peer.retry_at = time + math.min(2 ^ math.min(peer.failures - 1, 10), MAX_PAUSE)
  if self.on_failed and time - self.refreshed > REFRESH_PAUSE then
    self.refreshed = time
    self:on_failed()
  end
end

--- Abandons the pooled connections of a peer that sent nothing in time.
--- The next connection is a new one, and so shows whether the peer lives.
---@param peer Peer
function Peers.distrust(peer)
  peer.distrusted = (peer.distrusted or 0) + 1
  peer.options = { pool = peer.url .. " " .. peer.host .. " " .. peer.distrusted }
end

return Peers
