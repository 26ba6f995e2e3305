-- A thread that works whenever it is woken, and at least ten times a second.

local Log = require "framegate.runtime.log"
local Threads = require "framegate.runtime.threads"
local semaphore = require "ngx.semaphore"

---@class Rounds
local Rounds = {}
Rounds.__index = Rounds

local SECONDS = 0.1

---@param parts { name: string, work: (fun(): boolean), look: fun(), now: fun(): number } `name`: for the log, "… failed"; `work`
--- returns whether more is to be done after others had their turn; `look` is called ten times a second
---@return Rounds
function Rounds.new(parts)
  return setmetatable({
    name = parts.name,
    work = parts.work,
    look = parts.look,
    now = parts.now,
    looked_at = parts.now(),
    woken = semaphore.new(),
    has_stopped = false,
  }, Rounds)
end

local function round(self)
  local now = self.now()
  if now - self.looked_at >= SECONDS then
    self.looked_at = now
    self.look()
  end
  return self.work()
end

local function run(_, self)
  local has_more = false
  while not self.has_stopped do
    if has_more then
      ngx.sleep(0)
    else
      self.woken:wait(SECONDS)
    end
    local ok, result = xpcall(round, debug.traceback, self)
    has_more = ok and result
    if not ok then
      Log.error(nil, self.name, " failed: ", result)
    end
  end
end

--- Begins. Does not yield.
function Rounds:start()
  Threads.run(run, self, function(_, err)
    Log.warn(nil, self.name, " could not begin, and is tried again: ", err)
    self:start()
  end)
end

--- Wakes the thread. Does not yield.
function Rounds:wake()
  if self.woken:count() < 1 then
    self.woken:post()
  end
end

--- Ends the thread. Does not yield.
function Rounds:stop()
  self.has_stopped = true
  self.woken:post()
end

return Rounds
