-- Work of a worker that goes on in a timer of its own, one run at a time.

local Errand = {}
Errand.__index = Errand

-- A timer without delay runs in the next turn of the event loop. When nginx has no connection left for it, it never runs, and
-- nobody is told (ngx.timer.at has long said yes).
Errand.LATE_SECONDS = 2

local now = ngx.now

---@class Errand
---@field is_under_way boolean? whether it runs, or will in a moment

---@param name string for the log: "… failed"
---@param work fun()
---@return Errand
function Errand.new(name, work)
  return setmetatable({ name = name, work = work, turn = 0 }, Errand)
end

local function run(_, self, turn)
  if turn ~= self.turn then
    return      -- it was late, and another has been begun in its place
  end
  self.has_begun = true
  local ok, err = xpcall(self.work, debug.traceback)
  self.is_under_way = false
  if not ok then
    ngx.log(ngx.ERR, "[gateway] ", self.name, " failed: ", err)
  end
end

--- Begins, if it is not under way.
function Errand:begin()
  if self.is_under_way and (self.has_begun or now() - self.asked < Errand.LATE_SECONDS) then
    return
  end
  self.is_under_way, self.has_begun, self.asked, self.turn = true, false, now(), self.turn + 1
  local ok, err = ngx.timer.at(0, run, self, self.turn)
  if not ok then
    self.is_under_way = false
    ngx.log(ngx.ERR, "[gateway] ", self.name, " failed: could not start a timer: ", err)
  end
end

return Errand
