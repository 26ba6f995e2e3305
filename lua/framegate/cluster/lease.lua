-- The lease of this node: a key in Redis that is gone when the node has not renewed it for 9 s.
-- Each renewal also writes what the others show of this node, and reads the list of all nodes.

local cjson = require "cjson.safe"
local Channels = require "framegate.cluster.channels"
local Roster = require "framegate.cluster.roster"

---@class Lease
local Lease = {}
Lease.__index = Lease

local RENEW_SECONDS = 3
local AGAIN_SECONDS = 0.5 -- at least between two renewals, of which the second looks for a lease that must be gone now
local LATE_SECONDS = 2 -- without the reply or this node's own message, the link is broken

-- A buried node gets no lease. Gives each node with its facts and the milliseconds of its lease, and each grave with the node
-- that cleans up and the milliseconds of that one's lease.
-- PUBSUB is there so that an ACL without it is noticed here, and not only at a push.
local RENEW = [[
if redis.call('EXISTS', KEYS[1]) == 1 then
  return { 'buried' }
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
redis.call('PUBLISH', ARGV[4], ARGV[5])
redis.call('PUBSUB', 'NUMSUB', ARGV[4])
local function with_leases(key, leaseholder)
  local fields = redis.call('HGETALL', key)
  local list = {}
  for i = 1, #fields, 2 do
    list[#list + 1] = fields[i]
    list[#list + 1] = fields[i + 1]
    list[#list + 1] = redis.call('PTTL', ARGV[6] .. fields[i + leaseholder])
  end
  return list
end
return { 'renewed', with_leases(KEYS[3], 0), with_leases(KEYS[4], 1) }
]]

-- Close events that a node still owes when it stops are left to the others, as those of a node that died (burial.lua): in a
-- grave that nobody cleans up yet. A node that goes on without a cluster keeps its sockets, so their records go.
local END = [[
redis.call('DEL', KEYS[1])
redis.call('HDEL', KEYS[2], ARGV[1])
if ARGV[5] == 'leaves' then
  redis.call('DEL', KEYS[3])
elseif redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('HSET', KEYS[4], ARGV[1], '')
  redis.call('SET', KEYS[5], 'left', 'EX', ARGV[4])
end
return redis.call('PUBLISH', ARGV[2], ARGV[3])
]]

---@param parts { own: string, link: RedisLink, channels: Channels, roster: Roster, facts: (fun(): NodeFacts),
--- now: (fun(): number), on_renewed: (fun(at: number, graves: table[])), on_buried: fun(), on_refused: fun() } `on_renewed` gets
--- when the renewal was sent, by Clock.monotonic, and the graves as Burial:look takes them; `on_refused` is called when Redis
--- refuses a renewal
---@return Lease
function Lease.new(parts)
  return setmetatable({
    own = parts.own,
    link = parts.link,
    channels = parts.channels,
    roster = parts.roster,
    facts = parts.facts,
    now = parts.now,
    on_renewed = parts.on_renewed,
    on_buried = parts.on_buried,
    on_refused = parts.on_refused,
    number = 0, -- of renewals
  }, Lease)
end

local function nodes_of(list)
  local nodes = {}
  for i = 1, #list, 3 do
    local facts = cjson.decode(list[i + 1])
    nodes[#nodes + 1] = facts and { id = list[i], facts = facts, lease = list[i + 2] / 1000 }
  end
  return nodes
end

local function graves_of(list)
  local graves = {}
  for i = 1, #list, 3 do
    graves[#graves + 1] = { node = list[i], cleaner = list[i + 1], lease = list[i + 2] / 1000 }
  end
  return graves
end

local function on_reply(self, reply, sent_at)
  if reply[1] == "buried" then
    return self.on_buried()
  end
  self.replied = true
  self.roster:update(nodes_of(reply[2]))
  self.on_renewed(sent_at, graves_of(reply[3]))
end

--- Renews the lease. Does not yield.
---@param on_done fun()? called when Redis has renewed it
function Lease:renew(on_done)
  local channels, sent_at = self.channels, self.now()
  self.number, self.sent_at, self.replied, self.came_back = self.number + 1, sent_at, false, false
  local number = self.number
  local keys = { channels:buried(self.own), channels:lease(self.own), channels.nodes, channels.graves }
  local args = {
    self.own,
    cjson.encode(self.facts()),
    Roster.LEASE_SECONDS * 1000,
    channels:node(self.own),
    ('{"from":"%s","renewal":%d}\n'):format(self.own, number),
    channels:lease "",
  }
  self.link:eval(RENEW, keys, args, function(reply, err)
    if err and err ~= "lost" then
      self.on_refused()
    elseif reply and number == self.number then
      on_reply(self, reply, sent_at)
      if on_done and self.replied then
        on_done()
      end
    end
  end)
end

--- Takes this node's own message of a renewal.
---@param number integer of the renewal
function Lease:heard(number) self.came_back = self.came_back or number == self.number end

--- Renews the lease when that is due. Gives a reason to break the link when the last renewal is not confirmed in time.
---@return string? reason
function Lease:look()
  if self.has_finished then
    return
  end
  local age = self.sent_at and self.now() - self.sent_at or math.huge
  if age >= RENEW_SECONDS or age > AGAIN_SECONDS and self.replied and self.roster:has_just_expired() then
    self:renew()
  elseif age > LATE_SECONDS and not self.replied then
    return "Redis did not renew the lease within 2 s"
  elseif age > LATE_SECONDS and not self.came_back then
    return "this node's own message did not come back within 2 s"
  end
end

--- Begins anew over a new link.
function Lease:reset() self.sent_at = nil end

--- Ends the lease, because this node leaves, and lets the others know.
---@param why "stops"|"leaves" the cluster, and goes on without it
---@param on_done fun()
function Lease:finish(why, on_done)
  self.has_finished = true
  local own, channels = self.own, self.channels
  local keys = { channels:lease(own), channels.nodes, channels:records(own), channels.graves, channels:buried(own) }
  local text = ('{"from":"%s","event":"left"}\n'):format(own)
  if not self.link:eval(END, keys, { own, channels.all, text, Channels.BURIED_SECONDS, why }, on_done) then
    on_done()
  end
end

return Lease
