-- Goes through the histories in shared memory from time to time, in one worker of this gateway. It removes the frames of silent
-- topics that are too old, and what workers left that were killed between two steps: blocks without a frame, wrong counts, and
-- topics that were begun or forgotten by half.
-- A step takes far less than the time between two rounds. So what is the same in two of them is not under way.

---@class HistorySweep
local HistorySweep = {}
HistorySweep.__index = HistorySweep

local CLAIM_SECONDS = 30 -- for which the right to sweep outlives its worker
local PART = 100 -- topics or rounds of frames between two pauses

---@param parts { store: HistoryStore, rule_of: (fun(topic: string): HistoryBounds?), worker: string, pause: fun() } `worker`: its
--- name; `pause` lets others work
---@return HistorySweep
function HistorySweep.new(parts)
  return setmetatable({
    store = parts.store,
    topics = parts.store.topics,
    removal = parts.store.removal,
    rule_of = parts.rule_of,
    worker = parts.worker,
    pause = parts.pause,
    firsts = {}, -- first offsets of the last round, by number of the topic
    tops = {}, -- last offsets of it
    unnamed = {}, -- topics without a name in the last round
    recounts = {}, -- topics to count
  }, HistorySweep)
end

-- Counts the blocks of a topic. While others change it the count means nothing, and the next round counts again.
local function recount(self, id)
  local topics, blocks = self.topics, self.store.blocks
  local first, top, before = topics:first(id), topics:top(id), topics:blocks(id)
  if not first or not top or not before then
    return true
  end
  local counted = 0
  for offset = first, top do
    counted = counted + blocks:count(id, offset)
  end
  local is_quiet = topics:first(id) == first and topics:top(id) == top and topics:blocks(id) == before
  if is_quiet and counted ~= before then
    topics:add_blocks(id, counted - before)
  end
  return is_quiet
end

-- Whether nothing was published since the last round, and no offset that is left has a frame: their writers were killed.
local function is_hollow(self, id)
  local first, top = self.topics:first(id), self.topics:top(id)
  if not first or first ~= self.firsts[id] or top ~= self.tops[id] then
    return false
  end
  for offset = first, top do
    if self.store.blocks:count(id, offset) > 0 then
      return false
    end
  end
  return first <= top
end

local function sweep_topic(self, name, id)
  local rounds = 0
  while self.removal:expire(id, self.rule_of(name)) do
    rounds = rounds + 1
    if rounds % PART == 0 then
      self.pause()
    end
  end
  if is_hollow(self, id) then
    self.removal:remove_through(id, self.tops[id], "age")
  end
  if self.firsts[id] and self.removal:sweep(id, self.firsts[id]) then
    self.recounts[id] = true
  end
  if self.recounts[id] and recount(self, id) then
    self.recounts[id] = nil
  end
end

-- A number without a name, for the second time: its worker was killed.
local function forget_unnamed(self, ids, numbered)
  local named, unnamed = {}, {}
  for _, id in pairs(ids) do
    named[id] = true
  end
  for id in pairs(numbered) do
    if not named[id] and self.unnamed[id] then
      self.removal:remove_through(id, self.topics:top(id) or 0, "age")
      self.removal:sweep(id, math.huge)
      self.topics:forget(id)
    elseif not named[id] then
      unnamed[id] = true
    end
  end
  self.unnamed = unnamed
end

--- Counts the memory of every topic in the next round: a worker has ended, and was perhaps killed.
function HistorySweep:recount_all() self.is_doubtful = true end

--- One round, unless another worker does it. Yields in `pause`.
function HistorySweep:round()
  if not self.topics:claim_sweep(self.worker, CLAIM_SECONDS) then
    self.firsts, self.tops, self.unnamed, self.recounts = {}, {}, {}, {}
    return
  end
  local ids, numbered = self.topics:all()
  local firsts, tops, done, is_doubtful = {}, {}, 0, self.is_doubtful
  self.is_doubtful = false
  for name, id in pairs(ids) do
    self.recounts[id] = is_doubtful or self.recounts[id] or nil
    sweep_topic(self, name, id)
    firsts[id], tops[id], done = self.topics:first(id), self.topics:top(id), done + 1
    if done % PART == 0 then
      self.pause()
    end
  end
  self.firsts, self.tops = firsts, tops
  forget_unnamed(self, ids, numbered)
end

return HistorySweep
