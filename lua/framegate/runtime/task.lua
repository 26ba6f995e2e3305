-- A background task: it runs in a thread of its own, and never twice at the same time.

local Log = require "framegate.runtime.log"
local Threads = require "framegate.runtime.threads"

local Task = {}
Task.__index = Task

---@class Task
---@field is_under_way boolean? whether it runs or is about to

---@param name string for the log: "… failed"
---@param work fun()
---@return Task
function Task.new(name, work) return setmetatable({ name = name, work = work }, Task) end

local function run(_, self)
  local ok, err = xpcall(self.work, debug.traceback)
  self.is_under_way = false
  if not ok then
    Log.error(nil, self.name, " failed: ", err)
  end
end

local function try_again(self, err)
  self.is_under_way = false
  Log.warn(nil, self.name, " could not begin, and is tried again: ", err)
  self:begin()
end

--- Starts the task, unless it is under way. Does not yield.
function Task:begin()
  if not self.is_under_way then
    self.is_under_way = true
    Threads.run(run, self, try_again)
  end
end

return Task
