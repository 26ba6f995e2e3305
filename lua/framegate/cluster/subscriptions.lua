-- What this node subscribes to in Redis: its own channel, that of all nodes, and one for each group of sockets that any of
-- its workers has. In the worker that holds the link.

---@class Subscriptions
---@field number integer of groups
local Subscriptions = {}
Subscriptions.__index = Subscriptions

---@param parts { own: string, link: RedisLink, channels: Channels, on_refused: fun() } `own`: the id of this node; `on_refused`
--- is called when Redis refuses a subscription
---@return Subscriptions
function Subscriptions.new(parts)
  return setmetatable({
    own = parts.own,
    link = parts.link,
    channels = parts.channels,
    on_refused = parts.on_refused,
    by_worker = {}, -- sets of groups, by name of the worker
    counts = {}, -- how many workers have a group
    pending = {}, -- the last subscription to a group, until Redis has confirmed it
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
  self.counts[group], self.pending[group], self.confirmed[group], self.number = nil, nil, nil, self.number - 1
  return true
end

local function channels_of(self, groups)
  local channels = {}
  for i, group in ipairs(groups) do
    channels[i] = self.channels:group(group)
  end
  return channels
end

-- A subscription that was ended or repeated meanwhile is not the last one, so it confirms nothing.
local function confirm(self, groups, subscription)
  for _, group in ipairs(groups) do
    if self.pending[group] == subscription then
      self.pending[group], self.confirmed[group] = nil, true
    end
  end
end

-- A link that is lost meanwhile confirms nothing: `resume` subscribes again.
local function subscribe(self, groups, on_done)
  for _, group in ipairs(groups) do
    self.pending[group] = groups
  end
  local is_sent = #groups > 0
    and self.link:subscribe(channels_of(self, groups), function(is_done, err)
      if is_done then
        confirm(self, groups, groups)
      elseif err ~= "lost" then
        self.on_refused()
      end
      on_done(is_done)
    end)
  if not is_sent then
    on_done(#groups == 0)
  end
end

local function unsubscribe(self, groups)
  if #groups > 0 then
    self.link:unsubscribe(channels_of(self, groups))
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
---@param on_done fun() called when Redis has confirmed all of `add`, or has refused it, or the link is not up
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

local function ignore() end

--- Removes the workers that do not exist any more, with their groups.
---@param workers string[] that exist
---@return string[] missing those of them that have not reported
function Subscriptions:update_workers(workers)
  local is_living, missing = {}, {}
  for _, worker in ipairs(workers) do
    is_living[worker] = true
    missing[#missing + 1] = not self.by_worker[worker] and worker or nil
  end
  for worker in pairs(self.by_worker) do
    if not is_living[worker] then
      self:change(worker, { is_all = true, add = {}, remove = {} }, ignore)
      self.by_worker[worker] = nil
    end
  end
  return missing
end

--- Whether a worker has reported its groups.
---@param worker string
---@return boolean
function Subscriptions:has(worker) return self.by_worker[worker] ~= nil end

--- Subscribes to all groups over a new link.
---@param on_done fun() called when all are confirmed; not called when the link is lost, or Redis refuses one
function Subscriptions:resume(on_done)
  self.pending, self.confirmed = {}, {}
  local groups = {}
  for group in pairs(self.counts) do
    groups[#groups + 1] = group
  end
  subscribe(self, groups, function(is_done)
    if is_done then
      on_done()
    end
  end)
end

--- Subscribes to the channel of all nodes and to this node's own, after the groups: who sees a node's own channel subscribed
--- knows that the others are.
---@param on_done fun() called when both are confirmed; not called when the link is lost, or Redis refuses one
function Subscriptions:join(on_done)
  self.link:subscribe({ self.channels.all, self.channels:node(self.own) }, function(is_done, err)
    if is_done then
      on_done()
    elseif err ~= "lost" then
      self.on_refused()
    end
  end)
end

--- Ends the subscription to this node's own channel, so that the others know that they cannot reach it.
function Subscriptions:part() self.link:unsubscribe { self.channels:node(self.own) } end

return Subscriptions
