-- The clean-up after nodes that died: one other node sends the close events of their sockets. In the worker that holds the
-- link.
--
-- A lease may be gone because Redis stood still or lost everything. So a node is buried only if this one has had answers
-- from the same Redis for some time, and has seen twice that the lease is gone.
-- A grave is a field of a hash: the dead node, and the node that cleans up. When that one dies too, another takes over.

local Channels = require "framegate.cluster.channels"
local Task = require "framegate.runtime.task"
local semaphore = require "ngx.semaphore"

---@class Burial
---@field graves table<string, boolean> dead nodes that this one cleans up after
local Burial = {}
Burial.__index = Burial

local STEADY_SECONDS, GAP_SECONDS = 12, 1 -- how long Redis must have answered, without a gap of this length
local LOOKS, LOOK_SECONDS = 2, 2.9 -- how often a lease has to be seen gone, and the time from the first to the last
local PAGE = 200
local MOST_WAITING = 500 -- close events of dead nodes in this worker
local PAUSE_SECONDS = 0.05 -- between two looks whether fewer wait
local ROUND_SECONDS = 0.5 -- between two readings of the records that are left

-- KEYS: the lease of the dead node, its mark, all nodes, all graves. ARGV: it, this node, seconds, prefix of leases.
local BURY = [[
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 'alive'
end
local cleaner = redis.call('HGET', KEYS[4], ARGV[1])
if cleaner and cleaner ~= ARGV[2] and redis.call('EXISTS', ARGV[4] .. cleaner) == 1 then
  return 'taken'
end
if not cleaner and redis.call('HDEL', KEYS[3], ARGV[1]) == 0 then
  return 'gone'
end
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
redis.call('HSET', KEYS[4], ARGV[1], ARGV[2])
return 'ours'
]]

---@param parts { own: string, link: RedisLink, channels: Channels, roster: Roster, now: (fun(): number),
--- announce: (fun(event: string, node: string)), on_buried: (fun(node: string)), waiting: (fun(): integer),
--- add: fun(node: string, facts: { id: string, text: string, died: number, on_answered: fun(): boolean }) }
--- `add` sends the close event of one socket and calls `on_answered`, which gives false when the link is not up; `waiting`
--- counts those that are not answered
---@return Burial
function Burial.new(parts)
  local self = setmetatable({
    own = parts.own,
    link = parts.link,
    channels = parts.channels,
    roster = parts.roster,
    now = parts.now,
    announce = parts.announce,
    on_buried = parts.on_buried,
    add = parts.add,
    waiting = parts.waiting,
    graves = {},
    died_at = {}, -- by Clock.monotonic, by node
    asked = {}, -- nodes whose burial Redis is asked for
    seen = {}, -- graves whose cleaner has no lease: when that was first seen, and how often
    has_stopped = false,
  }, Burial)
  self.cleaning = Task.new("the clean-up after a node that died", function() self:clean_all() end)
  return self
end

--- Notes that Redis answered late, or is another one.
function Burial:disturbed() self.steady_since = self.now() end

--- Notes whether Redis answers; called several times a second. While this process stood still, it had no answers either.
function Burial:watch()
  local now = self.now()
  if self.link:is_away() or now - (self.watched_at or now) > GAP_SECONDS then
    self:disturbed()
  end
  self.watched_at = now
end

local function is_steady(self) return self.steady_since ~= nil and self.now() - self.steady_since >= STEADY_SECONDS end

local function keys_of(self, node)
  local channels = self.channels
  return { channels:lease(node), channels:buried(node), channels.nodes, channels.graves }
end

local function begin(self, node)
  self.graves[node] = true
  self.cleaning:begin()
end

local function bury(self, node, died_at)
  if self.asked[node] then
    return
  end
  self.asked[node] = true
  local args = { node, self.own, Channels.BURIED_SECONDS, self.channels:lease "" }
  local is_sent = self.link:eval(BURY, keys_of(self, node), args, function(answer)
    self.asked[node] = nil
    if answer == "ours" and not self.graves[node] then
      self.died_at[node] = died_at
      self.roster:remove(node)
      self.announce("buried", node)
      self.on_buried(node)
      begin(self, node)
    end
  end)
  self.asked[node] = is_sent or nil
end

local function is_due(first, looks, now) return looks >= LOOKS and now - first >= LOOK_SECONDS end

-- Begins a grave of this node that another of its workers began, or buries again when the cleaner has no lease any more.
-- Returns when that was first seen, and how often.
local function look_at_grave(self, grave, now)
  if grave.cleaner == self.own and not self.graves[grave.node] then
    begin(self, grave.node)
  end
  if grave.cleaner == self.own or grave.lease > 0 then
    return nil
  end
  local seen = self.seen[grave.node] or { first = now, looks = 0 }
  seen.looks = seen.looks + 1
  if is_due(seen.first, seen.looks, now) then
    bury(self, grave.node, now)
  end
  return seen
end

--- Looks for nodes to bury, after a renewal of this node's own lease.
---@param graves { node: string, cleaner: string, lease: number }[] `lease`: seconds left of the cleaner's
function Burial:look(graves)
  if not is_steady(self) then
    self.seen = {}
    return
  end
  local now = self.now()
  for _, neighbour in ipairs(self.roster:all()) do
    if neighbour.expired_since and is_due(neighbour.expired_since, neighbour.looks, now) then
      bury(self, neighbour.id, neighbour.heard_at)
    end
  end
  local seen = {}
  for _, grave in ipairs(graves) do
    seen[grave.node] = look_at_grave(self, grave, now)
  end
  self.seen = seen
end

-- Runs a command and waits for its reply. Returns nil when the link is lost.
local function ask(self, ...)
  local answered, reply = semaphore.new(), nil
  local is_sent = self.link:command(function(value)
    reply = value
    answered:post()
  end, ...)
  return is_sent and answered:wait(5) and reply or nil
end

--- Removes the record of a dead node's socket. Does not yield.
---@param node string
---@param id string of the socket
---@return boolean is_queued false when the link is not up
function Burial:remove(node, id) return self.link:command(nil, "HDEL", self.channels:records(node), id) end

local WAITING, ANSWERED = 1, 2

-- A record that is still there after the answer was not removed, because the link was down or lost then.
local function add_page(self, node, fields, known)
  for i = 1, #fields, 2 do
    local id = fields[i]
    if known[id] == ANSWERED then
      self:remove(node, id)
    elseif not known[id] then
      known[id] = WAITING
      self.add(node, {
        id = id,
        text = fields[i + 1],
        died = self.died_at[node] or self.now(),
        on_answered = function()
          known[id] = ANSWERED
          return self:remove(node, id)
        end,
      })
    end
  end
end

-- Returns whether nothing is left of the node's records.
local function clean(self, node, known)
  local key, cursor = self.channels:records(node), "0"
  repeat
    while self.waiting() > MOST_WAITING and not self.has_stopped do
      ngx.sleep(PAUSE_SECONDS)
    end
    local page = not self.has_stopped and ask(self, "HSCAN", key, cursor, "COUNT", PAGE)
    if not page then
      return false
    end
    cursor = page[1]
    add_page(self, node, page[2], known)
  until cursor == "0"
  return ask(self, "HLEN", key) == 0
end

local function finish(self, node)
  self.link:command(nil, "HDEL", self.channels.graves, node)
  self.graves[node], self.died_at[node] = nil, nil
end

local function nodes_of(graves)
  local nodes = {}
  for node in pairs(graves) do
    nodes[#nodes + 1] = node
  end
  return nodes
end

---@private
function Burial:clean_all()
  local known = {}
  while next(self.graves) and not self.has_stopped do
    for _, node in ipairs(nodes_of(self.graves)) do
      if clean(self, node, known) then
        finish(self, node)
      end
    end
    ngx.sleep(ROUND_SECONDS)
  end
end

--- Ends the clean-up in this worker: what is left goes on in another one.
function Burial:stop() self.has_stopped = true end

return Burial
