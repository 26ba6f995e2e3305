-- This node's link to the others in Redis, with all that works over it. In the worker that holds it: Redis sees a node once,
-- however many workers it has. nodes.lua decides which worker that is.

local Burial = require "framegate.cluster.burial"
local Claim = require "framegate.cluster.claim"
local Joining = require "framegate.cluster.joining"
local Lease = require "framegate.cluster.lease"
local NodeMessages = require "framegate.cluster.node_messages"
local NodeRecords = require "framegate.cluster.node_records"
local NodeRequests = require "framegate.cluster.node_requests"
local NodeService = require "framegate.cluster.node_service"
local Rounds = require "framegate.cluster.rounds"
local Roster = require "framegate.cluster.roster"
local Subscriptions = require "framegate.cluster.subscriptions"
local Succession = require "framegate.cluster.succession"

---@class NodeLink
---@field roster Roster
---@field joining Joining
local NodeLink = {}
NodeLink.__index = NodeLink

local function on_ready(self)
  self.records:resume()
  NodeMessages.announce(self, "joined", { facts = self.lease.facts() })
  self.requests:resume()
  self.on_ready()
end

local function look(self)
  self.burial:watch()
  if self.joining.is_ready then
    local reason = self.lease:look()
    if reason then
      self.link:break_off(reason)
    end
  else
    self.joining:look()
  end
  self.succession:look()
  self.requests:look()
  self.on_look(self.link:state())
end

-- What carries pushes.
local function add_exchange(self, parts)
  local own, link, channels = self.own, self.link, self.channels
  self.subscriptions = Subscriptions.new {
    own = own,
    link = link,
    channels = channels,
    on_refused = function() self.joining:refused() end,
  }
  self.requests = NodeRequests.new {
    own = own,
    link = link,
    roster = self.roster,
    channels = channels,
    now = parts.now,
    max_bytes = parts.max_bytes,
    is_ready = function() return self.joining.is_ready and not link:is_away() end,
    is_away = function() return self.joining:is_away() end,
  }
  self.service = NodeService.new {
    own = own,
    link = link,
    channels = channels,
    bus = parts.bus,
    seen = parts.seen,
    on_answer = function() self.rounds:wake() end,
  }
  self.succession = Succession.new {
    is_holder = parts.is_holder,
    run = function(head, payload) self.service:receive(head, payload) end,
    now = parts.now,
  }
end

-- What shows that this node lives.
local function add_life(self, parts)
  local own, link, channels, now = self.own, self.link, self.channels, parts.now
  self.lease = Lease.new {
    own = own,
    link = link,
    channels = channels,
    roster = self.roster,
    now = now,
    facts = parts.facts,
    on_renewed = function(at, graves)
      parts.on_renewed(at)
      self.burial:look(graves)
    end,
    on_buried = parts.on_buried,
    on_refused = function() self.joining:refused() end,
  }
  self.joining = Joining.new {
    link = link,
    subscriptions = self.subscriptions,
    lease = self.lease,
    now = now,
    workers = parts.workers,
    on_ready = function() on_ready(self) end,
  }
end

-- What becomes of sockets whose node dies.
local function add_afterlife(self, parts)
  local own, link, channels = self.own, self.link, self.channels
  self.records = NodeRecords.new {
    own = own,
    link = link,
    channels = channels,
    ids = parts.records.ids,
    text_of = parts.records.text_of,
    is_own = parts.records.is_own,
  }
  local function announce(event, node) NodeMessages.announce(self, event, { node = node }) end
  self.claim = Claim.new { link = link, channels = channels, roster = self.roster, announce = announce }
  self.burial = Burial.new {
    own = own,
    link = link,
    channels = channels,
    roster = self.roster,
    now = parts.now,
    announce = announce,
    on_buried = function(node)
      self.requests:check_all()
      parts.on_burial(node)
    end,
    waiting = parts.waiting,
    add = parts.add,
  }
end

---@param parts { own: string, dict: table, channels: Channels, bus: Bus, seen: Seen, now: (fun(): number), max_bytes: integer,
--- workers: (fun(): string[]), new_link: (fun(events: table): RedisLink), facts: (fun(): NodeFacts), on_ready: fun(),
--- on_renewed: (fun(at: number)), on_buried: fun(), records: table, on_burial: (fun(node: string)), waiting: (fun(): integer),
--- add: fun(node: string, facts: table), on_look: (fun(state: RedisLinkState)), is_holder: fun(): boolean }
--- `workers`: names of this node's living workers; `on_buried`: this node was buried; `on_burial`: it cleans up after another;
--- `records` as NodeRecords takes it; `waiting` and `add` as Burial takes them; `on_look` is called at least every 0.1 s;
--- `is_holder` as Succession takes it
---@return NodeLink
function NodeLink.new(parts)
  local self = setmetatable({
    own = parts.own,
    channels = parts.channels,
    on_ready = parts.on_ready,
    on_look = parts.on_look,
  }, NodeLink)
  self.link = parts.new_link {
    on_push = function(_, text) NodeMessages.receive(self, text) end,
    on_up = function()
      self.roster:resume()
      self.burial:disturbed()
      self.joining:up()
    end,
    on_down = function() self.joining:down() end,
  }
  self.roster = Roster.new { own = self.own, now = parts.now, dict = parts.dict }
  add_exchange(self, parts)
  add_life(self, parts)
  add_afterlife(self, parts)
  self.rounds = Rounds.new {
    name = "the work for other nodes",
    now = parts.now,
    look = function() look(self) end,
    work = function()
      self.service:flush()
      return self.requests:send_unsent()
    end,
  }
  return self
end

--- Begins to connect. Does not yield.
function NodeLink:start()
  self.link:start()
  self.rounds:start()
end

--- Sends a request to other nodes (NodeRequests:send).
function NodeLink:send(request, payload, on_done) self.requests:send(request, payload, on_done) end

--- Takes the report of a worker of this node (Subscriptions:change).
function NodeLink:change_groups(worker, change, on_done)
  self.subscriptions:change(worker, change, on_done)
  self.joining:advance()
end

--- Forgets the workers that do not exist any more.
---@return string[] names of those that have not reported their groups
function NodeLink:update_workers() return self.subscriptions:update_workers(self.joining.workers()) end

--- Whether a request of this or another node is not finished.
---@return boolean
function NodeLink:is_busy() return self.requests.count > 0 or self.service:is_busy() end

--- Gives the requests of this node back to the workers that they are from, if this link cannot send them now.
function NodeLink:give_back()
  if not self.joining.is_ready then
    self.requests:give_back()
  end
end

--- Ends the link, but not the lease: another worker has taken over.
function NodeLink:stop()
  self.service:flush()
  self.burial:stop()
  self.requests:give_back()
  self.joining.is_ready = false
  self.on_look(self.link:state())
  self.rounds:stop()
  self.link:stop()
end

--- Ends the lease and the link.
---@param why "stops"|"leaves" as Lease:finish takes it
function NodeLink:leave(why)
  self.service:flush()
  self.roster:clear()
  self.lease:finish(why, function() self:stop() end)
end

--- The state of the link and what is known of the other nodes, for GET /nodes.
---@return { link: RedisLinkState, is_ready: boolean, nodes: table[], in_flight: integer, kept_bytes: integer } `nodes` of
--- Roster:describe
function NodeLink:state()
  local link = self.link:state()
  self.on_look(link)
  return {
    link = link,
    is_ready = self.joining.is_ready,
    nodes = self.roster:describe(),
    in_flight = self.requests.count,
    kept_bytes = self.requests.kept.bytes,
  }
end

return NodeLink
