-- What this node subscribes to in Redis: its own channel, that of all nodes, and one for each group of sockets that any of
-- its workers has. In the worker that holds the link.

---@class Subscriptions
---@field number integer of groups
local Subscriptions = {}
Subscriptions.__index = Subscriptions

---@param parts { own: string, link: RedisLink, channels: Channels } `own`: the id of this node
---@return Subscriptions
function Subscriptions.new(parts)
  return setmetatable({
    own = parts.own,
    link = parts.link,
    channels = parts.channels,
    by_worker = {}, -- sets of groups, by name of the worker
    counts = {}, -- how many workers have a group
    confirmed = {}, -- groups that Redis has confirmed over the present link
    number = 0,
  }, Subscriptions)
end

local function add(self, groups, group)
  if not groups[group] then
    groups[group] = true
    self.counts[group] = (self.counts[group] or 0) + 1
    self.number = self.number + (self.counts[group] == 1 and 1 or 0)
  end
end

-- Returns whether no worker has the group any more.
local function remove(self, groups, group)
  if not groups[group] then
    return false
  end
  groups[group] = nil
  self.counts[group] = self.counts[group] - 1
  if self.counts[group] > 0 then
    return false
  end
  self.counts[group], self.confirmed[group], self.number = nil, nil, self.number - 1
  return true
end

-- A link that is lost meanwhile confirms nothing: `resume` subscribes again.
local function subscribe(self, groups, on_done)
  local channels = {}
  for i, group in ipairs(groups) do
    channels[i] = self.channels:group(group)
  end
  local link = self.links
  local is_sent = #channels > 0
    and self.link:subscribe(channels, function(is_done)
      for _, group in ipairs(groups) do
        self.confirmed[group] = is_done and self.links == link and self.counts[group] ~= nil or nil
      end
      on_done()
    end)
  if not is_sent then
    on_done()
  end
end

local function unsubscribe(self, groups)
  local channels = {}
  for i, group in ipairs(groups) do
    channels[i] = self.channels:group(group)
  end
  if #channels > 0 then
    self.link:unsubscribe(channels)
  end
end

local function without(groups, kept)
  local is_kept, others = {}, {}
  for _, group in ipairs(kept) do
    is_kept[group] = true
  end
  for group in pairs(groups) do
    others[#others + 1] = not is_kept[group] and group or nil
  end
  return others
end

--- Changes the groups of a worker.
---@param worker string
---@param change { is_all: boolean?, add: string[], remove: string[] } `is_all`: it has those of `add` and no other
---@param on_done fun() called when Redis has confirmed all of `add`, or the link is not up
function Subscriptions:change(worker, change, on_done)
  local groups, unconfirmed, unused = self.by_worker[worker] or {}, {}, {}
  self.by_worker[worker] = groups
  for _, group in ipairs(change.add) do
    add(self, groups, group)
    unconfirmed[#unconfirmed + 1] = not self.confirmed[group] and group or nil
  end
  for _, group in ipairs(change.is_all and without(groups, change.add) or change.remove) do
    unused[#unused + 1] = remove(self, groups, group) and group or nil
  end
  unsubscribe(self, unused)
  subscribe(self, unconfirmed, on_done)
end

--- Removes a worker that is lost, with its groups.
---@param worker string
function Subscriptions:forget(worker)
  if self.by_worker[worker] then
    self:change(worker, { is_all = true, add = {}, remove = {} }, function() end)
    self.by_worker[worker] = nil
  end
end

--- Subscribes to everything over a new link. This node's own channel comes last: who sees it subscribed knows that the others
--- are.
---@param on_done fun() called when all are confirmed; not called when the link is lost
function Subscriptions:resume(on_done)
  self.confirmed, self.links = {}, (self.links or 0) + 1
  local groups = {}
  for group in pairs(self.counts) do
    groups[#groups + 1] = group
  end
  local function subscribe_own()
    self.link:subscribe({ self.channels.all, self.channels:node(self.own) }, function(is_done)
      if is_done then
        on_done()
      end
    end)
  end
  subscribe(self, groups, subscribe_own)
end

return Subscriptions
