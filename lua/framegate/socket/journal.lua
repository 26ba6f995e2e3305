-- The journal of a worker: a file with the records of its sockets. It outlives the worker and the whole gateway.
-- What the kernel was given survives the process. Nothing waits for the disk, so power loss may cost the last seconds.
-- A worker has its file locked. So a file without a lock belongs to a worker that is gone, and another one adopts it.

local File = require "framegate.runtime.file"
local JournalFormat = require "framegate.socket.journal_format"
local Log = require "framegate.runtime.log"
local Task = require "framegate.runtime.task"

---@class Journal
---@field owed integer sockets that have a record and no end
---@field private file File
---@field private records integer records in the file, also outdated ones
---@field private is_adopted boolean whether another worker wrote it
---@field private compact_at integer bytes from which a smaller file may be worth the work
local Journal = {}
Journal.__index = Journal

local RECORD, END, DIED = JournalFormat.RECORD, JournalFormat.END, JournalFormat.DIED
local MIN_BYTES = 1024 * 1024
local PAUSE_SECONDS = 0.001 -- between two pieces; sockets are served meanwhile
local NEW = ".new"

local compact

local function new(file, is_adopted)
  local self = setmetatable({
    file = file,
    owed = 0,
    records = 0,
    is_adopted = is_adopted,
    compact_at = MIN_BYTES,
    is_full = false,
    is_closed = false,
  }, Journal)
  self.compacting = Task.new("compacting the journal", function() compact(self) end)
  return self
end

--- Makes the journal of this worker.
---@param path string
---@return Journal?
---@return string? err text of strerror(3)
function Journal.create(path)
  local file, err = File.create(path)
  if not file then
    return nil, err
  end
  file:lock()
  return new(file, false)
end

--- Opens and locks the journal of a worker that is gone.
---@param path string
---@return Journal?
---@return "in use"|string|nil err "in use" when a worker holds it; else the text of strerror(3)
function Journal.adopt(path)
  local file, err = File.open(path)
  if not file then
    return nil, err
  end
  if file:lock() and file:has_name() then
    os.remove(path .. NEW)
    return new(file, true)
  end
  file:close()
  return nil, "in use"
end

-- Warns once that something cannot be written, until something can be.
local function note(self, ok, err)
  if not ok and not self.is_full then
    Log.warn(nil, "the journal cannot be written, no close events will follow if the gateway is killed: ", err)
  end
  self.is_full = not ok
end

local function append(self, kind, id, text)
  if self.is_closed then
    return
  end
  note(self, self.file:append(JournalFormat.entry(kind, id, text)))
  if not self.is_adopted and self.file.size > self.compact_at and self.records > 2 * self.owed then
    self.compacting:begin()
  end
end

--- Adds the record of a new socket. Does not yield; an entry that cannot be written is lost, with a warning.
---@param id string
---@param text string
function Journal:add(id, text)
  self.owed = self.owed + 1
  self:replace(id, text)
end

--- Writes another record of the same socket. The last one counts.
---@param id string
---@param text string
function Journal:replace(id, text)
  self.records = self.records + 1
  append(self, RECORD, id, text)
end

--- Notes that nothing more is owed to a socket. When that holds for all, a file of another worker is removed.
---@param id string
function Journal:remove(id)
  self.owed = self.owed - 1
  append(self, END, id, "")
  if self.is_adopted and self.owed == 0 then
    self:close()
  end
end

--- Notes that this worker is alive, in the time of the file.
function Journal:touch() return self.is_closed or self.file:touch() end

--- Lets go of the file, and removes it if nothing in it is owed.
function Journal:close()
  if not self.is_closed then
    self.is_closed = true
    if self.owed == 0 then
      os.remove(self.file.path)
    end
    self.file:close()
  end
end

--- Removes the file of a worker that is gone: nothing in it is owed any more.
function Journal:discard()
  self.owed = 0
  self:close()
end

-- Calls a function with each entry before this offset. Yields between pieces. Returns how many places are damaged.
local function scan(file, till, visit)
  local reader, offset = JournalFormat.reader(), 0
  repeat
    local bytes = file:read(offset, till - offset)
    offset = offset + #bytes
    reader:push(bytes)
    for kind, id, text, entry in reader.next, reader do
      visit(kind, id, text, entry, reader.offset)
    end
    ngx.sleep(PAUSE_SECONDS)
  until bytes == ""
  return reader.damaged
end

--- Reads the records without an end, in an adopted journal. Yields.
---@return table<string, string> texts by id
---@return integer damaged places that could not be read
---@return number died when the worker died, in seconds since 1970; the same each time that this file is adopted
function Journal:load()
  local texts, died, ended = {}, nil, {}
  local damaged = scan(self.file, self.file.size, function(kind, id, text)
    if kind == RECORD then
      texts[id] = text
    elseif kind == END then
      ended[id] = true
    elseif kind == DIED then
      died = died or tonumber(text)
    end
  end)
  for id in pairs(ended) do
    texts[id] = nil
  end
  for _ in pairs(texts) do
    self.owed = self.owed + 1
  end
  if not died then
    died = self.file:modified()
    append(self, DIED, "", ("%.3f"):format(died))
  end
  return texts, damaged, died
end

-- Copies what counts of the file before this offset. Returns how many records that are, or nil and an error.
local function copy(self, target, till)
  local ended, last = {}, {}
  scan(self.file, till, function(kind, id, _, _, offset)
    if kind == END then
      ended[id] = true
    else
      last[id] = offset
    end
  end)
  local count, err = 0, nil
  scan(self.file, till, function(_, id, _, entry, offset)
    if not err and not ended[id] and last[id] == offset then
      count = count + 1
      local _
      _, err = target:append(entry)
    end
  end)
  return not err and count or nil, err
end

-- Copies what was written since, without yielding.
local function copy_rest(self, target, offset)
  while offset < self.file.size do
    local bytes = self.file:read(offset)
    local ok, err = target:append(bytes)
    if not ok or bytes == "" then
      return nil, err or "it cannot be read"
    end
    offset = offset + #bytes
  end
  return true
end

-- Replaces the file by one with what counts.
local function replace_file(self, target)
  local till, records = self.file.size, self.records
  local count, err = copy(self, target, till)
  local ok
  if count and not self.is_closed then
    ok, err = copy_rest(self, target, till)
  end
  if ok then
    ok, err = os.rename(target.path, self.file.path)
  end
  if not ok then
    target:close()
    os.remove(target.path)
    return nil, err
  end
  target.path = self.file.path
  self.file:close()
  self.file, self.records = target, count + self.records - records
  return true
end

function compact(self)
  local target, err = File.create(self.file.path .. NEW)
  local ok
  if target then
    target:lock()
    ok, err = replace_file(self, target)
  end
  if not ok and not self.is_closed then
    Log.warn(nil, "the journal cannot be made smaller: ", err)
  end
  self.compact_at = math.max(MIN_BYTES, self.file.size * (ok and 1 or 2))
end

return Journal
