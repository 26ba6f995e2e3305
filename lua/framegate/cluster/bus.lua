-- Remote calls between the workers of this node: runs an operation in one worker or in all, with or without waiting.
-- A driver carries the messages: the mesh. nodes.lua reaches the other nodes of a cluster.

local Calls = require "framegate.cluster.calls"
local Deferred = require "framegate.cluster.deferred"
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

--- A result that is not known yet is a function: it gets a function that accepts the result, and calls it once.
---@alias BusOperation fun(self: table, args: table, payload: string): table|fun(reply: fun(result: table))

---@param parts { name: string, driver: BusDriver, operations: table<string, BusOperation> }
---@return Bus
function Bus.new(parts)
  local self = setmetatable({
    name = parts.name, -- of this worker
    driver = parts.driver,
    operations = parts.operations,
    calls = Calls.new(),
    watchers = {}, -- functions to call when a peer is lost
    waiting = 0, -- requests that wait for peers or results
    deferred = Deferred.new(parts.driver),
  }, Bus)
  return self
end

local function operate(self, op, args, payload) return self.operations[op](self.operations, args, payload) end

-- Calls `on_result` with the result of an operation of this worker.
local function run_here(self, op, args, payload, on_result)
  local result = operate(self, op, args, payload)
  if type(result) == "function" then
    return result(on_result)
  end
  return on_result(result)
end

local function receive(self, peer, head, payload)
  local driver = self.driver
  if not head.op then
    return self.calls:answer(head.call, peer, head.result)
  elseif not self.operations[head.op] then
    return driver:send(peer, { call = head.call }, "")
  end
  run_here(self, head.op, head.args, payload, function(result)
    if head.call then
      driver:send(peer, { call = head.call, result = result }, "")
    end
  end)
end

--- Calls a function with the name of each worker that cannot be reached any more.
---@param on_lost fun(peer: string)
function Bus:watch(on_lost) self.watchers[#self.watchers + 1] = on_lost end

--- Starts the driver, and from then on receives messages.
function Bus:start()
  self.driver:start {
    on_message = function(peer, head, payload) receive(self, peer, head, payload) end,
    on_lost = function(peer)
      self.calls:lose(peer)
      for _, on_lost in ipairs(self.watchers) do
        on_lost(peer)
      end
    end,
  }
end

-- Begins a request and waits up to 5 s for its result. Returns whether there is one, the result, and the call.
local function await(begin)
  local is_known, result, answered = false, nil, nil
  local call = begin(function(value)
    is_known, result = true, value
    if answered then
      answered:post()
    end
  end)
  if not is_known then
    answered = semaphore.new()
    answered:wait(ANSWER_SECONDS)
  end
  return is_known, result, call
end

local function finish(self, ok, ...)
  self.waiting = self.waiting - 1
  if not ok then
    error((...), 0)
  end
  return ...
end

-- A request counts as waiting from its beginning, so that the driver is not stopped while it waits for peers.
local function count_while(self, run, ...)
  self.waiting = self.waiting + 1
  return finish(self, xpcall(run, debug.traceback, self, ...))
end

-- Sends a request to every other worker that can be reached now, and runs it here.
local function ask_reachable(self, request, on_done)
  if request.on_send then
    request.on_send()
  end
  local call = self.calls:begin(function(call) on_done(call.results) end)
  local head = { op = request.op, args = request.args, call = call.number }
  Calls.expect(call, self.name)
  for peer in pairs(self.driver:peers()) do
    Calls.expect(call, peer)
  end
  self.driver:send_all(head, request.payload)
  run_here(
    self,
    request.op,
    request.args,
    request.payload,
    function(result) self.calls:answer(call.number, self.name, result) end
  )
  return call
end

-- What waits to be sent goes first.
local function call_all(self, request)
  local is_complete = self.driver:await_complete()
  self.deferred:send()
  local is_known, _, call = await(function(on_done) return ask_reachable(self, request, on_done) end)
  self.calls:drop(call)
  return call.results, is_complete and is_known
end

--- Runs an operation in every worker, including this one, and waits up to 5 s for the results.
--- A worker that dies meanwhile gives no result.
---@param op string name of an operation
---@param args table
---@param payload string?
---@param on_send fun()? called when it is sent, behind what was sent before; may still change `args`
---@return table[] results
---@return boolean is_complete false when a worker could not be reached, or did not answer in time
function Bus:call_all(op, args, payload, on_send)
  return count_while(self, call_all, { op = op, args = args, payload = payload or "", on_send = on_send })
end

--- Runs an operation in one worker. Does not yield.
---@param name string of the worker
---@param request { op: string, args: table, payload: string }
---@param on_result fun(result: table?) called once: nil when the worker is lost, or cannot be reached now; must not yield
---@return Call? call to drop if the result is not awaited any more
function Bus:ask(name, request, on_result)
  if name == self.name then
    return run_here(self, request.op, request.args, request.payload, on_result)
  end
  if not self.driver:peers()[name] then
    return on_result(nil)
  end
  local call = self.calls:begin(function(call) on_result(call.results[1]) end)
  Calls.expect(call, name)
  self.driver:send(name, { op = request.op, args = request.args, call = call.number }, request.payload)
  return call
end

local function call_one(self, name, request)
  if name ~= self.name and not self.driver:peers()[name] then
    self.driver:await_complete()
  end
  local is_known, result, call = await(function(on_result) return self:ask(name, request, on_result) end)
  if not is_known and call then
    self.calls:drop(call)
  end
  return result, not result and (is_known and "gone" or "timeout") or nil
end

--- Runs an operation in one worker, and waits up to 5 s for its result.
---@param name string of the worker
---@param op string
---@param args table
---@param payload string?
---@return table? result nil when the worker does not exist (any more), or did not answer in time
---@return string? err "gone" or "timeout"
function Bus:call(name, op, args, payload)
  return count_while(self, call_one, name, { op = op, args = args, payload = payload or "" })
end

--- Calls a function when everything that `tell_all` was given so far is sent. Does not yield.
---@param run fun() must not yield
function Bus:when_sent(run) self.deferred:when_sent(run) end

--- Runs an operation in every worker, this one first, without waiting for results. Does not yield.
--- Operations of one worker arrive in the order in which it sent them.
---@param op string name of an operation
---@param args table
---@param payload string
function Bus:tell_all(op, args, payload)
  operate(self, op, args, payload)
  if not self.deferred:is_busy() and self.driver:is_complete() then
    return self.driver:send_all({ op = op, args = args }, payload)
  end
  self.deferred:add({ op = op, args = args }, payload)
end

--- Runs an operation in every worker, and calls `on_done` with the results. Does not yield.
--- Operations of one worker arrive in the order in which it sent them.
---@param request { op: string, args: table, payload: string }
---@param on_done fun(results: table[], is_complete: boolean?) must not yield
function Bus:ask_all(request, on_done)
  if self.deferred:is_busy() or not self.driver:is_complete() then
    Task.new("asking other workers", function() on_done(count_while(self, call_all, request)) end):begin()
  else
    ask_reachable(self, request, function(results) on_done(results, true) end)
  end
end

--- Whether a call still waits for results, or a message for peers.
---@return boolean
function Bus:is_busy() return self.waiting > 0 or self.deferred:is_busy() end

--- Ends the driver.
function Bus:stop() self.driver:stop() end

return Bus
