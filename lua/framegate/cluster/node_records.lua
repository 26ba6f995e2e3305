-- The records of this node's sockets in Redis: a hash, by id of the socket. In the worker that holds the link.

local Task = require "framegate.runtime.task"

---@class NodeRecords
local NodeRecords = {}
NodeRecords.__index = NodeRecords

local BATCH = 200
local PAUSE_SECONDS = 0.001 -- between two batches; sockets are served meanwhile

-- A node that was buried and does not know it writes nothing: nobody would remove its records.
-- KEYS: its records, its mark. ARGV: ids and texts.
local WRITE = [[
return redis.call('EXISTS', KEYS[2]) == 1 and 0 or redis.call('HSET', KEYS[1], unpack(ARGV))
]]

---@param parts { own: string, link: RedisLink, channels: Channels, ids: (fun(): string[]), text_of: (fun(id: string): string?),
--- is_own: fun(id: string): boolean } `ids` and `text_of` read the records that are in this node's shared memory; `is_own`:
--- whether this node holds a socket
---@return NodeRecords
function NodeRecords.new(parts)
  local self = setmetatable({
    own = parts.own,
    key = parts.channels:records(parts.own),
    mark = parts.channels:buried(parts.own),
    link = parts.link,
    ids = parts.ids,
    text_of = parts.text_of,
    is_own = parts.is_own,
    links = 0,
  }, NodeRecords)
  self.syncing = Task.new("writing all records to Redis", function() self:sync() end)
  return self
end

--- Writes and removes records. Those of an earlier life of this node are not written: other nodes had theirs.
---@param records { [1]: string, [2]: string? }[] ids and texts; without a text the record is removed
---@param on_done fun() called when Redis has them, or the link is not up
function NodeRecords:write(records, on_done)
  local set, removed = {}, { "HDEL", self.key }
  for _, record in ipairs(records) do
    local id, text = record[1], record[2]
    if not text then
      removed[#removed + 1] = id
    elseif self.is_own(id) then
      set[#set + 1], set[#set + 2] = id, text
    end
  end
  local open = 1
  local function done()
    open = open - 1
    if open == 0 then
      on_done()
    end
  end
  if #set > 0 and self.link:eval(WRITE, { self.key, self.mark }, set, done) then
    open = open + 1
  end
  if #removed > 2 and self.link:command(done, unpack(removed)) then
    open = open + 1
  end
  done()
end

local function pages(list, size)
  local first = 1 - size
  return function()
    first = first + size
    return first <= #list and first or nil, math.min(first + size - 1, #list)
  end
end

-- Writes what `record_of` makes of each id, in batches; nothing for those of which it makes nothing.
local function write_in_batches(self, link, ids, record_of)
  for first, last in pages(ids, BATCH) do
    local records = {}
    for i = first, last do
      records[#records + 1] = record_of(ids[i])
    end
    if self.links ~= link then
      return
    end
    self:write(records, function() end)
    ngx.sleep(PAUSE_SECONDS)
  end
end

local function write_all(self, link)
  write_in_batches(self, link, self.ids(), function(id)
    local text = self.text_of(id)
    return text and { id, text }
  end)
end

-- Removes records of sockets that ended while there was no link.
local function remove_old(self, link, ids)
  write_in_batches(self, link, ids, function(id) return not self.text_of(id) and { id } or nil end)
end

---@private
function NodeRecords:sync()
  local link
  repeat
    link = self.links
    write_all(self, link)
    if self.links == link then -- what is listed belongs to this link
      local ids = self.listed or {}
      self.listed = nil
      remove_old(self, link, ids)
    end
  until self.links == link
end

--- Makes Redis agree with the shared memory, over a new link. Does not yield.
function NodeRecords:resume()
  self.links = self.links + 1
  self.link:command(function(ids)
    self.listed = ids
    self.syncing:begin()
  end, "HKEYS", self.key)
end

return NodeRecords
