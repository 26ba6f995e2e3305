-- Remote calls between workers: runs an operation in one worker or in all, with or without waiting for results.
-- The bus matches requests with results. Drivers carry the messages: the mesh does so within one machine.

local Task = require "framegate.runtime.task"
local semaphore = require "ngx.semaphore"

--- Carries messages between this worker and its peers. Messages to one peer keep their order.
---@class BusDriver
---@field start fun(self: BusDriver, events: BusEvents) begins to reach peers; does not yield
---@field peers fun(self: BusDriver): table<string, any> the peers that can be reached now, by name; read-only
---@field send fun(self: BusDriver, peer: string, head: table, payload: string): boolean false if unreachable; no yield
---@field send_all fun(self: BusDriver, head: table, payload: string) to all peers; does not yield
---@field await_complete fun(self: BusDriver): boolean waits until all peers can be reached; false after a time-out
---@field is_complete fun(self: BusDriver): boolean whether all peers can be reached, as far as known without waiting
---@field stop fun(self: BusDriver) sends the messages that wait, then ends

---@class BusEvents
---@field on_message fun(peer: string, head: table, payload: string)
---@field on_lost fun(peer: string) a peer cannot be reached any more: its open calls get no result

-- The head of a message is one of
--   {op, args, call}      a request; `call` is absent when nobody waits for the result
--   {call, result}        the result

---@class Bus
local Bus = {}
Bus.__index = Bus

local ANSWER_SECONDS = 5

---@alias BusOperation fun(self: table, args: table, payload: string): table

---@param parts { name: string, drivers: BusDriver[], operations: table<string, BusOperation> }
---@return Bus
function Bus.new(parts)
  local self = setmetatable({
    name = parts.name, -- of this worker
    drivers = parts.drivers,
    operations = parts.operations,
    calls = {}, -- requests that wait for results, by number
    waiting = 0, -- requests that wait for peers or results
    last_call = 0,
    deferred = {}, -- messages to all others, until every one can be reached
  }, Bus)
  self.sending = Task.new("telling other workers", function() self:send_deferred() end)
  return self
end

local function operate(self, op, args, payload) return self.operations[op](self.operations, args, payload) end

-- Ends the part of a peer in a call. A lost peer gives no result, and neither does one that does not know the
-- operation.
local function end_part(call, peer, result)
  if not call or not call.open[peer] then
    return
  end
  call.open[peer] = nil
  call.results[#call.results + 1] = result
  call.remaining = call.remaining - 1
  if call.remaining == 0 then
    call.semaphore:post()
  end
end

local function receive(self, driver, peer, head, payload)
  if not head.op then
    return end_part(self.calls[head.call], peer, head.result)
  end
  local result = self.operations[head.op] and operate(self, head.op, head.args, payload)
  if head.call then
    driver:send(peer, { call = head.call, result = result }, "")
  end
end

--- Starts the drivers, and from then on receives messages.
function Bus:start()
  for _, driver in ipairs(self.drivers) do
    driver:start {
      on_message = function(peer, head, payload) receive(self, driver, peer, head, payload) end,
      on_lost = function(peer)
        for _, call in pairs(self.calls) do
          end_part(call, peer)
        end
      end,
    }
  end
end

local function new_call(self)
  self.last_call = self.last_call + 1
  local call = { number = self.last_call, open = {}, results = {}, remaining = 0, semaphore = semaphore.new() }
  self.calls[call.number] = call
  return call
end

local function expect(call, peer)
  call.open[peer], call.remaining = true, call.remaining + 1
end

local function await(self, call)
  if call.remaining > 0 then
    call.semaphore:wait(ANSWER_SECONDS)
  end
  self.calls[call.number] = nil
  return call.results
end

local function await_complete(self)
  local is_complete = true
  for _, driver in ipairs(self.drivers) do
    is_complete = driver:await_complete() and is_complete
  end
  return is_complete
end

local function finish(self, ok, ...)
  self.waiting = self.waiting - 1
  if not ok then
    error((...), 0)
  end
  return ...
end

-- A request counts as waiting from its beginning, so that the drivers are not stopped while it waits for peers.
local function count_while(self, run, ...)
  self.waiting = self.waiting + 1
  return finish(self, xpcall(run, debug.traceback, self, ...))
end

local function driver_of(self, peer)
  for _, driver in ipairs(self.drivers) do
    if driver:peers()[peer] then
      return driver
    end
  end
end

local function call_all(self, op, args, payload)
  local is_complete = await_complete(self)
  local call = new_call(self)
  local head = { op = op, args = args, call = call.number }
  for _, driver in ipairs(self.drivers) do
    for peer in pairs(driver:peers()) do
      expect(call, peer)
    end
    driver:send_all(head, payload)
  end
  local own = operate(self, op, args, payload)
  local results = await(self, call)
  results[#results + 1] = own
  return results, is_complete and call.remaining == 0
end

--- Runs an operation in every worker, including this one, and waits up to 5 s for the results.
--- A worker that dies meanwhile gives no result.
---@param op string name of an operation
---@param args table
---@param payload string?
---@return table[] results
---@return boolean is_complete false when a worker could not be reached, or did not answer in time
function Bus:call_all(op, args, payload) return count_while(self, call_all, op, args, payload or "") end

local function call_one(self, name, op, args, payload)
  local driver = driver_of(self, name)
  if not driver then
    await_complete(self)
    driver = driver_of(self, name)
  end
  if not driver then
    return nil, "gone"
  end
  local call = new_call(self)
  expect(call, name)
  driver:send(name, { op = op, args = args, call = call.number }, payload)
  local result = await(self, call)[1]
  return result, not result and (call.remaining > 0 and "timeout" or "gone") or nil
end

--- Runs an operation in one worker, and waits up to 5 s for its result.
---@param name string of the worker
---@param op string
---@param args table
---@param payload string?
---@return table? result nil when the worker does not exist (any more), or did not answer in time
---@return string? err "gone" or "timeout"
function Bus:call(name, op, args, payload)
  if name == self.name then
    return operate(self, op, args, payload or "")
  end
  return count_while(self, call_one, name, op, args, payload or "")
end

local function send_to_others(self, head, payload)
  for _, driver in ipairs(self.drivers) do
    driver:send_all(head, payload)
  end
end

--- Sends the deferred messages in their order.
---@private
function Bus:send_deferred()
  await_complete(self)
  while self.deferred[1] do
    local batch = self.deferred
    self.deferred = {}
    for _, message in ipairs(batch) do
      send_to_others(self, message.head, message.payload)
    end
  end
end

local function is_complete(self)
  for _, driver in ipairs(self.drivers) do
    if not driver:is_complete() then
      return false
    end
  end
  return true
end

--- Runs an operation in every worker, this one first, without waiting for results. Does not yield.
--- Operations of one worker arrive in the order in which it sent them.
---@param op string name of an operation
---@param args table
---@param payload string
function Bus:tell_all(op, args, payload)
  operate(self, op, args, payload)
  if not self.sending.is_under_way and is_complete(self) then
    return send_to_others(self, { op = op, args = args }, payload)
  end
  self.deferred[#self.deferred + 1] = { head = { op = op, args = args }, payload = payload }
  self.sending:begin()
end

--- Whether a call still waits for results, or a message for peers.
---@return boolean
function Bus:is_busy() return self.waiting > 0 or self.sending.is_under_way == true end

--- Ends all drivers.
function Bus:stop()
  for _, driver in ipairs(self.drivers) do
    driver:stop()
  end
end

return Bus
