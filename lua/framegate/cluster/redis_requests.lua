-- The commands that wait for an answer of Redis, in the order in which they were sent.
-- SUBSCRIBE and UNSUBSCRIBE are answered by one push for each channel. Only when Redis refuses one, a reply comes.

local Clock = require "framegate.runtime.clock"
local Log = require "framegate.runtime.log"
local Queue = require "framegate.runtime.queue"
local Resp = require "framegate.cluster.resp"

---@class RedisRequests
local RedisRequests = {}
RedisRequests.__index = RedisRequests

---@return RedisRequests
function RedisRequests.new() return setmetatable({ queue = Queue.new() }, RedisRequests) end

--- Adds a request behind the others.
---@param callback fun(reply: any, err: RespError|"lost"|nil)? called once; must not yield
---@param confirmations integer? for SUBSCRIBE and UNSUBSCRIBE: how many pushes answer it
function RedisRequests:add(callback, confirmations)
  self.queue:push { callback = callback, confirmations = confirmations, since = Clock.monotonic() }
end

local function finish(request, reply, err)
  if not request.callback then
    return
  end
  local ok, failure = xpcall(request.callback, debug.traceback, reply, err)
  if not ok then
    Log.error(nil, "using a reply of Redis failed: ", failure)
  end
end

--- Answers the oldest request with a reply.
---@param reply any
---@return boolean is_expected false when no request waits for a reply
function RedisRequests:answer(reply)
  local request = self.queue:peek()
  local is_error = Resp.is_error(reply)
  if not request or request.confirmations and not is_error then
    return false
  end
  self.queue:pop()
  if is_error then
    finish(request, nil, reply)
  else
    finish(request, reply)
  end
  return true
end

--- Counts the push that confirms one channel of the oldest request.
function RedisRequests:confirm()
  local request = self.queue:peek()
  if not request or not request.confirmations then
    return
  end
  request.confirmations = request.confirmations - 1
  if request.confirmations == 0 then
    self.queue:pop()
    finish(request, true)
  end
end

--- How long the oldest request has waited.
---@return number seconds 0 when none waits
function RedisRequests:waited()
  local request = self.queue:peek()
  return request and Clock.monotonic() - request.since or 0
end

---@return boolean
function RedisRequests:is_empty() return self.queue:peek() == nil end

--- Ends all requests with "lost", because the connection has ended.
function RedisRequests:lose()
  local lost = self.queue
  self.queue = Queue.new()
  for request in function() return lost:pop() end do
    finish(request, nil, "lost")
  end
end

return RedisRequests
