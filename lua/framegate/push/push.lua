-- Pushes: messages to one connection, a topic, a user or all connections, over all workers.
-- Workers exchange only the payload and its type. Each worker frames a message once, however many of its sockets get
-- it.

local Counters = require "framegate.telemetry.counters"

---@class Push
local Push = {}
Push.__index = Push

local REQUESTED = Counters.place "framegate_pushes_total"
local KINDS = { publish = "topic", send_to_user = "user", broadcast = "broadcast" }

-- A connection's id begins with the names of its node (4) and its worker (6).
local NODE, WORKER = 4, 6

---@param parts { node: string, bus: Bus } the id of this node
---@return Push
function Push.new(parts) return setmetatable({ node = parts.node, bus = parts.bus }, Push) end

local function worker_of(self, id)
  if id:sub(1, NODE) ~= self.node then
    return nil
  end
  return id:sub(NODE + 1, NODE + WORKER)
end

--- Runs an operation in the worker that holds a connection.
---@param id string of the connection
---@param op string name of an operation
---@param args table gets the id
---@param payload string?
---@return table? result
---@return string? err "gone", or "timeout" when its worker did not answer
function Push:ask(id, op, args, payload)
  local worker = worker_of(self, id)
  if not worker then
    return nil, "gone"
  end
  args.id = id
  local result, err = self.bus:call(worker, op, args, payload)
  if not result or result.gone then
    return nil, err or "gone"
  end
  return result
end

local function sum(results)
  local total = { delivered = 0, dropped = 0 }
  for _, result in ipairs(results) do
    total.delivered = total.delivered + result.delivered
    total.dropped = total.dropped + result.dropped
  end
  return total
end

--- Sends a message to one connection.
---@param id string
---@param payload string
---@param is_text boolean
---@return { delivered: integer, dropped: integer }? counts
---@return string? err "gone" or "timeout"
function Push:send(id, payload, is_text)
  Counters.count(REQUESTED.connection)
  return self:ask(id, "send", { is_text = is_text }, payload)
end

--- Sends a message to a topic, a user or all connections.
---@param op "publish"|"send_to_user"|"broadcast"
---@param args { topic: string?, user: string?, except: string? } gets `is_text`
---@param payload string
---@param is_text boolean
---@return { delivered: integer, dropped: integer } counts over all workers
---@return boolean is_complete false when a worker did not answer: it may have sockets that are not counted
function Push:to_many(op, args, payload, is_text)
  Counters.count(REQUESTED[KINDS[op]])
  args.is_text = is_text
  local results, is_complete = self.bus:call_all(op, args, payload)
  return sum(results), is_complete
end

--- Publishes a message that an answer of the handler asks for. Does not yield, and gives no counts.
---@param effect { topic: string, payload: string, is_text: boolean, except_self: boolean? }
---@param id string of the connection whose event was answered
function Push:publish_effect(effect, id)
  Counters.count(REQUESTED.topic)
  self.bus:tell_all(
    "publish",
    { topic = effect.topic, except = effect.except_self and id or nil, is_text = effect.is_text },
    effect.payload
  )
end

return Push
