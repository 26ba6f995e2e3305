-- What workers ask of one another: an operation (operations.lua) of all or of one, with or without waiting for results.

local Members = require "framegate.cluster.members"
local Task = require "framegate.runtime.task"
local Mesh = require "framegate.cluster.mesh"
local semaphore = require "ngx.semaphore"

local Bus = {}

local ANSWER_SECONDS = 5

local calls = {} -- requests that wait for results, by number
local last_call = 0
local deferred = {}
local operations -- what other workers may ask for, by name

-- A worker's part in a call is over. One that died gives no result, nor one whose code, older than ours, does not know the
-- operation.
local function end_part(call, link, result)
  if not call or not call.open[link.name] then
    return
  end
  call.open[link.name] = nil
  call.results[#call.results + 1] = result
  call.remaining = call.remaining - 1
  if call.remaining == 0 then
    call.semaphore:post()
  end
end

local function receive(link, head, payload)
  if head.op == "look" then
    return Mesh.look()
  end
  if head.op then
    local operate = operations[head.op]
    local result = operate and operate(head.args, payload)
    if head.call then
      link:answer(head.call, result)
    end
    return
  end
  end_part(calls[head.call], link, head.result)
end

local function lose(link)
  for _, call in pairs(calls) do
    end_part(call, link)
  end
end

local function new_call(names)
  last_call = last_call + 1
  local call = { number = last_call, open = {}, results = {}, remaining = 0, semaphore = semaphore.new() }
  for _, name in ipairs(names) do
    call.open[name], call.remaining = true, call.remaining + 1
  end
  calls[last_call] = call
  return call
end

local function await(call)
  if call.remaining > 0 then
    call.semaphore:wait(ANSWER_SECONDS)
  end
  calls[call.number] = nil
  return call.results
end

--- Asks every worker, this one among them. A worker that dies meanwhile gives no result.
---@param op string name of an operation
---@param args table
---@param payload string?
---@return table[] results
function Bus.call_all(op, args, payload)
  Mesh.await_everybody()
  local names = {}
  for name in pairs(Mesh.links()) do
    names[#names + 1] = name
  end
  local call = new_call(names)
  for _, name in ipairs(names) do
    Mesh.links()[name]:request({ op = op, args = args, call = call.number }, payload or "")
  end
  local own = operations[op](args, payload or "")
  local results = await(call)
  results[#results + 1] = own
  return results
end

--- Asks one worker.
---@param name string of the worker
---@param op string
---@param args table
---@param payload string?
---@return table? result nil when there is no such worker (any more), or when it did not answer in time
---@return string? err "gone" or "timeout"
function Bus.call(name, op, args, payload)
  if name == Members.worker() then
    return operations[op](args, payload or "")
  end
  if not Mesh.links()[name] then
    Mesh.await_everybody()
  end
  local link = Mesh.links()[name]
  if not link then
    return nil, "gone"
  end
  local call = new_call { name }
  link:request({ op = op, args = args, call = call.number }, payload or "")
  local result = await(call)[1]
  return result, not result and (call.remaining > 0 and "timeout" or "gone") or nil
end

local function tell_others(op, args, payload)
  for _, link in pairs(Mesh.links()) do
    link:request({ op = op, args = args }, payload)
  end
end

-- What was told while somebody was not linked yet, in its order.
local tell = Task.new("telling other workers", function()
  Mesh.await_everybody()
  while deferred[1] do
    local batch = deferred
    deferred = {}
    for _, told in ipairs(batch) do
      tell_others(told[1], told[2], told[3])
    end
  end
end)

--- Tells every worker, this one at once, without waiting for results. Does not yield. What one worker tells arrives in that
--- order.
---@param op string
---@param args table
---@param payload string
function Bus.tell_all(op, args, payload)
  operations[op](args, payload)
  if not tell.is_under_way and Mesh.is_complete() then
    return tell_others(op, args, payload)
  end
  deferred[#deferred + 1] = { op, args, payload }
  tell:begin()
end

--- Whether somebody still waits for results, or something for links.
---@return boolean
function Bus.is_busy() return next(calls) ~= nil or tell.is_under_way == true end

--- Begins to link this worker with the others.
---@param what table<string, fun(args: table, payload: string): table>
function Bus.start(what)
  operations = what
  Mesh.start { receive = receive, lose = lose }
end

return Bus
