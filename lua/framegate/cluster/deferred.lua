-- Messages to all other workers, while one of them cannot be reached yet: they are sent in their order when all can.

local Task = require "framegate.runtime.task"

---@class Deferred
---@field private driver BusDriver
---@field private messages { head: table, payload: string }[]
---@field private calls (fun())[] called when everything is sent
local Deferred = {}
Deferred.__index = Deferred

---@param driver BusDriver
---@return Deferred
function Deferred.new(driver)
  local self = setmetatable({ driver = driver, messages = {}, calls = {} }, Deferred)
  self.sending = Task.new("telling other workers", function() self:run() end)
  return self
end

--- Adds a message, which is sent soon. Does not yield.
---@param head table
---@param payload string
function Deferred:add(head, payload)
  self.messages[#self.messages + 1] = { head = head, payload = payload }
  self.sending:begin()
end

--- Sends what waits now, to all that can be reached. Does not yield.
function Deferred:send()
  local messages = self.messages
  self.messages = {}
  for _, message in ipairs(messages) do
    self.driver:send_all(message.head, message.payload)
  end
end

---@private
function Deferred:run()
  self.driver:await_complete()
  while self.messages[1] do
    self:send()
  end
  local calls = self.calls
  self.calls = {}
  for _, run in ipairs(calls) do
    run()
  end
end

--- Whether messages wait.
---@return boolean
function Deferred:is_busy() return self.sending.is_under_way == true end

--- Calls a function when everything so far is sent. Does not yield.
---@param run fun() must not yield
function Deferred:when_sent(run)
  if not self:is_busy() then
    return run()
  end
  self.calls[#self.calls + 1] = run
end

return Deferred
