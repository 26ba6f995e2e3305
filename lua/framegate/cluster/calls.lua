-- Requests that wait for results: matches each result with its request by number.

---@class Call
---@field number integer
---@field open table<string, boolean> the peers that have not answered
---@field remaining integer of them
---@field results table[]
---@field on_done fun(call: Call) called once, when no peer is open any more

---@class Calls
local Calls = {}
Calls.__index = Calls

---@return Calls
function Calls.new() return setmetatable({ by_number = {}, last = 0 }, Calls) end

--- Begins a call without peers.
---@param on_done fun(call: Call) must not yield
---@return Call
function Calls:begin(on_done)
  self.last = self.last + 1
  local call = { number = self.last, open = {}, remaining = 0, results = {}, on_done = on_done }
  self.by_number[call.number] = call
  return call
end

--- Expects a result of a peer.
---@param call Call
---@param peer string
function Calls.expect(call, peer)
  call.open[peer], call.remaining = true, call.remaining + 1
end

--- Ends a call: results that come later are dropped, and `on_done` is not called.
---@param call Call
function Calls:drop(call) self.by_number[call.number] = nil end

--- Ends a call that expects nothing (any more).
---@param call Call
function Calls:check(call)
  if call.remaining == 0 and self.by_number[call.number] then
    self:drop(call)
    call.on_done(call)
  end
end

--- Ends the part of a peer in a call.
---@param number integer of the call
---@param peer string
---@param result table? nil if the peer is lost, or does not know the operation
function Calls:answer(number, peer, result)
  local call = self.by_number[number]
  if not call or not call.open[peer] then
    return
  end
  call.open[peer] = nil
  call.results[#call.results + 1] = result
  call.remaining = call.remaining - 1
  self:check(call)
end

--- Ends the part of a lost peer in every call.
---@param peer string
function Calls:lose(peer)
  local numbers = {}
  for number in pairs(self.by_number) do
    numbers[#numbers + 1] = number
  end
  for _, number in ipairs(numbers) do
    self:answer(number, peer)
  end
end

return Calls
