-- Calls a function for each of many items when its time has come. All wait in one heap.
-- While there are any, one thread waits for the earliest, so items far away cost no processor time.

local Clock = require "framegate.runtime.clock"
local Heap = require "framegate.runtime.heap"
local Log = require "framegate.runtime.log"
local Task = require "framegate.runtime.task"
local semaphore = require "ngx.semaphore"

---@class Deadlines
---@field private pending Heap
---@field private wakes_at number when the thread looks next, by Clock.monotonic
local Deadlines = {}
Deadlines.__index = Deadlines

local LONGEST_SECONDS = 3600
local SHORTEST_SECONDS = 0.001 -- nginx's timers count in milliseconds
local MANY = 500 -- after so many items in one turn of the event loop, others are served

local now = Clock.monotonic

local function call_due(self)
  local pending, time, called = self.pending, now(), 0
  local item = pending:peek()
  while item and item.at <= time and called < MANY do
    pending:remove(item)
    local ok, err = xpcall(self.on_due, debug.traceback, item)
    if not ok then
      Log.error(item.connection and item.connection.id, self.name, " failed: ", err)
    end
    called, item = called + 1, pending:peek()
  end
end

local function run(self)
  call_due(self)
  while self.pending:peek() do
    self.wakes_at = self.pending:peek().at
    self.changed:wait(math.min(math.max(self.wakes_at - now(), SHORTEST_SECONDS), LONGEST_SECONDS))
    call_due(self)
  end
  self.wakes_at = math.huge
end

---@param name string for the log: "… failed"
---@param on_due fun(item: HeapItem) must not yield
---@return Deadlines
function Deadlines.new(name, on_due)
  local self = setmetatable({
    name = name,
    on_due = on_due,
    pending = Heap.new(),
    wakes_at = math.huge,
    changed = semaphore.new(), -- on which the thread waits; its count is below 0 while it does
  }, Deadlines)
  self.task = Task.new(name, function() run(self) end)
  return self
end

local function is_waiting(self) return self.changed:count() < 0 end

--- Adds an item. Does not yield.
---@param item HeapItem whose `at` is by Clock.monotonic
function Deadlines:add(item)
  self.pending:push(item)
  if item.at >= self.wakes_at then
    return
  elseif is_waiting(self) then
    self.changed:post()
  else
    self.task:begin()
  end
end

--- Removes an item, if it still waits.
---@param item HeapItem
function Deadlines:remove(item)
  if not item.place then
    return
  end
  self.pending:remove(item)
  if not self.pending:peek() and is_waiting(self) then
    self.changed:post() -- the thread ends
  end
end

return Deadlines
