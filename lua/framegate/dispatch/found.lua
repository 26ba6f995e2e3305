-- The answers that were found in one piece of a batch's response, in their order.

---@class Found
---@field count integer
---@field private events Event[]
---@field private answers Answer[]
local Found = {}
Found.__index = Found

---@return Found
function Found.new() return setmetatable({ count = 0, events = {}, answers = {} }, Found) end

--- Adds an answer.
---@param event Event
---@param answer Answer
function Found:add(event, answer)
  local count = self.count + 1
  self.count, self.events[count], self.answers[count] = count, event, answer
end

--- Passes all answers on. LuaJIT compiles this loop with all that it calls, because there is no other loop in that.
---@param on_answer fun(event: Event, answer: Answer)
function Found:pass_on(on_answer)
  local events, answers = self.events, self.answers
  for i = 1, self.count do
    on_answer(events[i], answers[i])
  end
end

return Found
