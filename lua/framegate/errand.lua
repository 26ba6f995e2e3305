-- Work of a worker that goes on in a thread of its own, one run at a time.

local Background = require "framegate.background"

local Errand = {}
Errand.__index = Errand

---@class Errand
---@field is_under_way boolean? whether it runs, or will in a moment

---@param name string for the log: "… failed"
---@param work fun()
---@return Errand
function Errand.new(name, work) return setmetatable({ name = name, work = work }, Errand) end

local function run(_, self)
  local ok, err = xpcall(self.work, debug.traceback)
  self.is_under_way = false
  if not ok then
    ngx.log(ngx.ERR, "[gateway] ", self.name, " failed: ", err)
  end
end

local function try_again(self, err)
  self.is_under_way = false
  ngx.log(ngx.WARN, "[gateway] ", self.name, " could not begin, and is tried again: ", err)
  self:begin()
end

--- Begins, if it is not under way.
function Errand:begin()
  if not self.is_under_way then
    self.is_under_way = true
    Background.run(run, self, try_again)
  end
end

return Errand
