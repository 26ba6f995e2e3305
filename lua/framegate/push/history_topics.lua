-- The kept topics in shared memory: their numbers, and for each the last offset, the first one that is kept, how many blocks
-- its frames take, and up to where a sweep has looked for blocks that killed workers left. A number is never used again.

local Random = require "framegate.runtime.random"

---@class HistoryTopics
---@field private dict table a shared dictionary of ngx_lua
---@field private locks table another one, which has room when `dict` is full
local HistoryTopics = {}
HistoryTopics.__index = HistoryTopics

local LOCK_SECONDS = 1 -- of a worker that was killed

-- Keys, before the topic's name or its number.
local NUMBER, NAME, TOP, FIRST, BLOCKS, SWEPT = "n", "N", "t", "f", "b", "s"
local OF_NUMBER = { TOP, FIRST, BLOCKS, SWEPT, NAME }

---@param dict table
---@param locks table
---@return HistoryTopics
function HistoryTopics.new(dict, locks) return setmetatable({ dict = dict, locks = locks }, HistoryTopics) end

--- Fills the shared memory. Runs in the master, before workers start. After a reload everything is there, and stays.
function HistoryTopics:init() self.dict:add("epoch", Random.name(8)) end

--- A name that is new when the histories are.
---@return string
function HistoryTopics:epoch() return self.dict:get("epoch") end

---@param name string
---@return integer? id
function HistoryTopics:find(name) return self.dict:get(NUMBER .. name) end

local function forget_number(self, id)
  for _, key in ipairs(OF_NUMBER) do
    self.dict:delete(key .. id)
  end
end

local function add(self, id, name)
  local dict = self.dict
  local ok = dict:safe_add(TOP .. id, 0)
    and dict:safe_add(FIRST .. id, 1)
    and dict:safe_add(BLOCKS .. id, 0)
    and dict:safe_add(SWEPT .. id, 1)
    and dict:safe_add(NAME .. id, name)
  if not ok then
    return nil, "no memory"
  end
  return dict:safe_add(NUMBER .. name, id)
end

--- Finds a topic, or begins its history.
---@param name string
---@return integer? id nil when the memory for topics is full
function HistoryTopics:open(name)
  local id = self:find(name)
  if id then
    return id
  end
  id = self.dict:incr("last", 1, 0)
  local ok, err = add(self, id, name)
  if ok then
    return id
  end
  forget_number(self, id)
  return err == "exists" and self:find(name) or nil
end

--- Takes the next offset of a topic.
---@param id integer
---@return integer? offset nil when the topic was forgotten
function HistoryTopics:next_offset(id) return self.dict:incr(TOP .. id, 1) end

--- The last offset that was taken.
---@param id integer
---@return integer? top nil when the topic was forgotten
function HistoryTopics:top(id) return self.dict:get(TOP .. id) end

--- The first offset whose frame is still kept: all before it are gone.
---@param id integer
---@return integer? first nil when the topic was forgotten
function HistoryTopics:first(id) return self.dict:get(FIRST .. id) end

--- Gives up the next frames of a topic. The caller, and nobody else, removes them.
---@param id integer
---@param count integer
---@return integer? from offset of the first; nil when the topic was forgotten
function HistoryTopics:give_up(id, count)
  local first = self.dict:incr(FIRST .. id, count)
  return first and first - count
end

--- Adds to the blocks that a topic's frames take.
---@param id integer
---@param count integer
---@return integer? blocks nil when the topic was forgotten
function HistoryTopics:add_blocks(id, count) return self.dict:incr(BLOCKS .. id, count) end

--- How many blocks a topic's frames take, as far as it was counted.
---@param id integer
---@return integer? blocks nil when the topic was forgotten
function HistoryTopics:blocks(id) return self.dict:get(BLOCKS .. id) end

--- The first offset that no sweep has looked at.
---@param id integer
---@return integer? offset nil when the topic was forgotten
function HistoryTopics:swept(id) return self.dict:get(SWEPT .. id) end

--- Takes note that a sweep has looked at everything before an offset.
---@param id integer
---@param from integer the offset before
---@param to integer
function HistoryTopics:set_swept(id, from, to) self.dict:incr(SWEPT .. id, to - from) end

--- Takes the right to sweep, or keeps it.
---@param worker string name of the one that sweeps
---@param seconds number
---@return boolean ok false while another worker has it
function HistoryTopics:claim_sweep(worker, seconds)
  if self.locks:safe_add("sweeps history", worker, seconds) then
    return true
  end
  if self.locks:get("sweeps history") ~= worker then
    return false
  end
  return self.locks:set("sweeps history", worker, seconds) == true
end

--- The topics that keep frames.
---@return integer[] ids those whose frames take the most memory come first
function HistoryTopics:largest_first()
  local ids, blocks = {}, {}
  for _, key in ipairs(self.dict:get_keys(0)) do
    local id = tonumber(key:match("^b(%d+)$"))
    blocks[id or 0] = id and self.dict:get(key) or 0
    if id and blocks[id] > 0 then
      ids[#ids + 1] = id
    end
  end
  table.sort(ids, function(a, b) return blocks[a] > blocks[b] end)
  return ids
end

--- All topics.
---@return table<string, integer> ids by name
---@return table<integer, true> numbered ids of which anything is there: also those that are being added or forgotten, or whose
--- worker was killed meanwhile
function HistoryTopics:all()
  local ids, numbered = {}, {}
  for _, key in ipairs(self.dict:get_keys(0)) do
    local id = tonumber(key:match("^[tfbsN](%d+)$"))
    if key:sub(1, 1) == NUMBER then
      ids[key:sub(2)] = self.dict:get(key)
    elseif id then
      numbered[id] = true
    end
  end
  return ids, numbered
end

--- How much is kept.
---@return integer frames with holes among them
---@return integer blocks
function HistoryTopics:usage()
  local frames, blocks = 0, 0
  for _, id in pairs(self:all()) do
    local first, top = self:first(id), self:top(id)
    frames = frames + (first and top and math.max(top - first + 1, 0) or 0)
    blocks = blocks + math.max(self.dict:get(BLOCKS .. id) or 0, 0)
  end
  return frames, blocks
end

--- Forgets a topic. Its frames must be removed already.
---@param id integer
function HistoryTopics:forget(id)
  local name = self.dict:get(NAME .. id)
  if name and self:find(name) == id then
    self.dict:delete(NUMBER .. name)
  end
  forget_number(self, id)
end

--- Takes the right to trim, for a second at most.
---@return boolean ok false while another worker has it
function HistoryTopics:lock() return self.locks:safe_add("trims history", true, LOCK_SECONDS) == true end

--- Gives the right back.
function HistoryTopics:unlock() self.locks:delete("trims history") end

return HistoryTopics
