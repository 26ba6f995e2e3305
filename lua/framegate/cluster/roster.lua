-- The other nodes of the cluster, as this node has heard of them from Redis.
-- A node stays until it leaves, is buried, or is unknown to Redis for longer than a lease.
-- So a push never overlooks a node whose lease ran out while Redis itself did not run. The list is in shared memory, too:
-- another worker may begin to hold the link when Redis has just lost everything.

local cjson = require "cjson.safe"

---@class NodeFacts what a node writes about itself at each renewal
---@field name string for people
---@field started number seconds since 1970
---@field sockets integer
---@field version string

---@class Neighbour
---@field id string 4 characters
---@field facts NodeFacts
---@field heard_at number by Clock.monotonic
---@field lease_until number by Clock.monotonic
---@field expired_since number? when its lease was first seen to be gone
---@field looks integer how often in a row its lease was seen to be gone

---@class Roster
local Roster = {}
Roster.__index = Roster

local LEASE_SECONDS = 9
local FRESH_SECONDS = 4 -- of the lease of a node that renews it every 3 s, and 2 s late at most
Roster.LEASE_SECONDS = LEASE_SECONDS
local EXPIRED_SECONDS = 0.1 -- after the end of a lease, Redis does not have it any more

local KEY = "roster"

local function save(self)
  local nodes = {}
  for id, neighbour in pairs(self.by_id) do
    nodes[#nodes + 1] = { id = id, facts = neighbour.facts }
  end
  self.dict:set(KEY, cjson.encode(nodes))
end

---@param parts { own: string, now: (fun(): number), dict: table } the id of this node, Clock.monotonic, and a shared dictionary of
--- ngx_lua
---@return Roster
function Roster.new(parts)
  local self = setmetatable({ own = parts.own, now = parts.now, dict = parts.dict, by_id = {} }, Roster)
  for _, node in ipairs(cjson.decode(self.dict:get(KEY) or "[]")) do
    self:hear(node.id, node.facts)
  end
  return self
end

--- Notes that a node has spoken, whose lease is renewed.
---@param id string
---@param facts NodeFacts
function Roster:hear(id, facts)
  if id == self.own then
    return
  end
  local now = self.now()
  local neighbour = self.by_id[id] or { id = id, looks = 0 }
  neighbour.facts, neighbour.heard_at, neighbour.lease_until = facts, now, now + LEASE_SECONDS
  self.by_id[id] = neighbour
  save(self)
end

local function note_lease(neighbour, lease_seconds, now)
  if lease_seconds > 0 then
    neighbour.lease_until, neighbour.heard_at = now + lease_seconds, now
    neighbour.expired_since, neighbour.looks = nil, 0
  else
    neighbour.expired_since = neighbour.expired_since or now
    neighbour.looks = neighbour.looks + 1
  end
end

--- Takes over a list of all nodes, which Redis has answered.
---@param nodes { id: string, facts: NodeFacts, lease: number }[] `lease`: seconds left, or below 0 when it is gone
function Roster:update(nodes)
  local now, is_listed = self.now(), {}
  for _, node in ipairs(nodes) do
    is_listed[node.id] = true
    if node.id ~= self.own then
      local neighbour = self.by_id[node.id] or { id = node.id, heard_at = now, lease_until = now, looks = 0 }
      neighbour.facts = node.facts
      note_lease(neighbour, node.lease, now)
      self.by_id[node.id] = neighbour
    end
  end
  for id, neighbour in pairs(self.by_id) do
    if not is_listed[id] and now - neighbour.heard_at > LEASE_SECONDS then
      self.by_id[id] = nil
    end
  end
  save(self)
end

--- Whether the lease of a node must be gone by now, and nobody has looked.
---@return boolean
function Roster:has_just_expired()
  local now = self.now()
  for _, neighbour in pairs(self.by_id) do
    if neighbour.looks == 0 and now > neighbour.lease_until + EXPIRED_SECONDS then
      return true
    end
  end
  return false
end

--- Removes a node that has left or was buried.
---@param id string
function Roster:remove(id)
  self.by_id[id] = nil
  save(self)
end

--- Forgets all nodes, because this node leaves the cluster.
function Roster:clear()
  self.by_id = {}
  self.dict:delete(KEY)
end

--- Counts all nodes as just heard, because the link to Redis is new: Redis may have been away for longer than a lease, or may
--- have lost everything, and the others need a moment to return, too.
function Roster:resume()
  local now = self.now()
  for _, neighbour in pairs(self.by_id) do
    neighbour.heard_at, neighbour.expired_since, neighbour.looks = now, nil, 0
  end
end

---@param id string
---@return Neighbour?
function Roster:get(id) return self.by_id[id] end

--- All other nodes, in the order of their ids.
---@return Neighbour[]
function Roster:all()
  local all = {}
  for _, neighbour in pairs(self.by_id) do
    all[#all + 1] = neighbour
  end
  table.sort(all, function(a, b) return a.id < b.id end)
  return all
end

--- Describes the other nodes for people, in the order of their ids.
---@return { id: string, facts: NodeFacts, lease: number, is_up: boolean, is_expired: boolean }[] `lease`: seconds left;
--- `is_up`: whether it renewed its lease in time when this node last heard of it
function Roster:describe()
  local now, described = self.now(), {}
  for i, neighbour in ipairs(self:all()) do
    local is_expired = neighbour.expired_since ~= nil
    described[i] = {
      id = neighbour.id,
      facts = neighbour.facts,
      lease = math.max(neighbour.lease_until - now, 0),
      is_up = not is_expired and neighbour.lease_until - neighbour.heard_at > FRESH_SECONDS,
      is_expired = is_expired,
    }
  end
  return described
end

return Roster
