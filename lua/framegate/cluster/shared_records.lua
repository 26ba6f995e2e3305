-- The records of this worker's sockets in Redis, from which another node sends their close events if this one dies.
-- Changes go to the worker that holds the link, in batches: while one is on its way, the next one gathers.
-- While Redis is away they are dropped: a new link writes all records again (node_records.lua).

local Task = require "framegate.runtime.task"
local semaphore = require "ngx.semaphore"

---@class SharedRecords
local SharedRecords = {}
SharedRecords.__index = SharedRecords

local MOST = 500 -- records in one batch

---@param parts { holders: Holders, bus: Bus }
---@return SharedRecords
function SharedRecords.new(parts)
  local self =
    setmetatable({ holders = parts.holders, bus = parts.bus, texts = {}, count = 0, awaited = {} }, SharedRecords)
  self.writing = Task.new("writing the records of sockets to Redis", function() self:write_all() end)
  return self
end

local function take(self)
  local records, count = {}, 0
  for id, text in pairs(self.texts) do
    count = count + 1
    records[count] = { id, text or nil }
    self.texts[id] = nil
    if count == MOST then
      break
    end
  end
  self.count = self.count - count
  return records
end

-- A former holder had no link any more when they came. What has changed again meanwhile is newer.
local function put_back(self, records)
  for _, record in ipairs(records) do
    local id = record[1]
    if self.texts[id] == nil then
      self.texts[id], self.count = record[2] or false, self.count + 1
    end
  end
end

local function wake(self, records)
  for _, record in ipairs(records) do
    local written = self.awaited[record[1]]
    if written then
      self.awaited[record[1]] = nil
      written:post()
    end
  end
end

local function call(self, holder, records)
  return holder and self.bus:call(holder, "write_records", { records = records })
end

---@private
function SharedRecords:write_all()
  while self.count > 0 do
    local records, holder = take(self), self.holders:current()
    local ok, result = pcall(call, self, holder, records)
    if not ok then
      wake(self, records)
      error(result, 0)
    elseif not result and holder ~= self.holders:current() then
      put_back(self, records)
    else
      wake(self, records)
    end
  end
end

local function change(self, id, text)
  if not self.holders:is_clustered() then
    return
  end
  if self.texts[id] == nil then
    self.count = self.count + 1
  end
  self.texts[id] = text
  self.writing:begin()
end

--- Writes the record of a socket. Does not yield.
---@param id string
---@param text string
function SharedRecords:put(id, text) change(self, id, text) end

--- What to wait for after `put`, until Redis has the record, or is away.
---@param id string
---@return table? semaphore nil if there is nothing to wait for
function SharedRecords:written(id)
  if self.texts[id] then
    self.awaited[id] = semaphore.new()
  end
  return self.awaited[id]
end

--- Removes the record of a socket. Does not yield.
---@param id string
function SharedRecords:remove(id) change(self, id, false) end

--- Whether changes are not written yet.
---@return boolean
function SharedRecords:is_busy() return self.writing.is_under_way == true end

return SharedRecords
