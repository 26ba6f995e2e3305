-- Stands for ngx.semaphore in threads of support/threads.lua.

local Stub = require "support.ngx"

local Semaphore = {}
Semaphore.__index = Semaphore

function Semaphore.new() return setmetatable({ count = 0 }, Semaphore) end

function Semaphore:post() self.count = self.count + 1 end

function Semaphore:wait(seconds)
  local deadline = Stub.now + seconds
  while self.count == 0 do
    if Stub.now >= deadline then
      return nil, "timeout"
    end
    coroutine.yield(deadline, self)
  end
  self.count = self.count - 1
  return true
end

return Semaphore
