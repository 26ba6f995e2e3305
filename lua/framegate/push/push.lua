-- Pushes: messages to one connection, a topic, a user or all connections, over all workers and all nodes of the cluster.
-- They exchange only the payload and its type. Each worker frames a message once, however many of its sockets get it.

local cjson = require "cjson.safe"
local Clock = require "framegate.runtime.clock"
local ClusterMetrics = require "framegate.telemetry.cluster_metrics"
local Counters = require "framegate.telemetry.counters"
local OnceHere = require "framegate.push.once_here"
local Position = require "framegate.push.position"
local Search = require "framegate.push.search"

---@class Push
local Push = { ask = Search.ask }
Push.__index = Push

--- Kinds of pushes in counters and spans, by their operation.
Push.KINDS = {
  publish = "topic",
  close_topic = "topic",
  refresh_topic = "topic",
  send_to_user = "user",
  broadcast = "broadcast",
}

local REQUESTED = Counters.place "framegate_pushes_total"
local GROUPS = { publish = "topic", close_topic = "topic", refresh_topic = "topic", send_to_user = "user" }

---@param parts { members: Members, bus: Bus, nodes: Nodes, seen: Seen, history: History, origins: Origins,
--- holders: Holders, wait: number, keep: number }
--- `wait`: seconds for the answers of other nodes; `keep`: seconds for which a message that nobody waits for is kept while a
--- node is away
---@return Push
function Push.new(parts)
  return setmetatable({
    members = parts.members,
    bus = parts.bus,
    nodes = parts.nodes,
    history = parts.history,
    origins = parts.origins,
    holders = parts.holders,
    once_here = OnceHere.new { bus = parts.bus, seen = parts.seen },
    wait = parts.wait,
    keep = parts.keep,
  }, Push)
end

local function add_up(total, results)
  for _, result in ipairs(results) do
    total.delivered = total.delivered + result.delivered
    total.dropped = total.dropped + result.dropped
  end
end

--- Sends a message to one connection.
---@param id string
---@param message { payload: string, is_text: boolean, key: string? } `key` as in ConnectionRequest
---@return { delivered: integer, dropped: integer }? counts
---@return string? err as of `ask`
function Push:send(id, message)
  Counters.count(REQUESTED.connection)
  return self:ask(
    id,
    { op = "send", args = { is_text = message.is_text }, payload = message.payload, key = message.key }
  )
end

local function group_of(op, args)
  local kind = GROUPS[op]
  return kind and kind .. ":" .. args[kind] or nil
end

-- Stores a frame of a topic that is kept, before any worker delivers it. Returns its position, or null for a frame that the
-- topic does not keep; nil for a topic that keeps nothing.
local function keep(self, op, args, payload)
  if op ~= "publish" or not self.history:rule_of(args.topic) then
    return nil
  end
  local frame = { payload = payload, is_text = args.is_text, except = args.except, replace = args.replace }
  local place, position = self.history:keep(args.topic, frame)
  args.place = place
  return position or cjson.null
end

-- Whether Redis stores a message to a topic. Then this node gets it from there too.
local function is_shared(self, op, args, payload)
  return op == "publish" and self.history.is_shared == true and self.history:takes(args.topic, payload)
end

-- Without a group a request goes to all nodes: an item of GRIP with an id does, because the next item may be published at any
-- of them.
local function request_to_many(self, op, args, message)
  local is_kept = is_shared(self, op, args, message.payload)
  return {
    id = message.key or self.nodes:new_id(),
    op = op,
    args = args,
    group = not args.item and group_of(op, args) or nil,
    kept = is_kept and self.history:publication(args, message.key ~= nil) or nil,
  }
end

-- Numbers a message when it is sent, so that the numbers of one worker arrive in their order. A frame of a kept topic has its
-- place, and no number: it may come to this node behind later messages.
local function number(self, request)
  if not request.kept then
    request.args.from = self.origins:next()
  end
end

-- Runs the operation in this node, unless it gets it from Redis. Calls `on_send` when it is sent, unless a request with its key
-- was run before.
local function here(self, request, message, on_send)
  if request.kept then
    return {}, true
  end
  return self.once_here:ask_all {
    op = request.op,
    args = request.args,
    payload = message.payload,
    key = message.key,
    prepare = function() return keep(self, request.op, request.args, message.payload) end,
    on_send = on_send,
  }
end

--- Sends a message to a topic, a user or all connections.
---@param op "publish"|"close_topic"|"refresh_topic"|"send_to_user"|"broadcast"
---@param args { topic: string?, user: string?, except: string?, replace: string?, meta: table?, code: integer?,
--- reason: string?, item: string?, previous: string? } gets `is_text`, and `place` in a kept topic; `item`: the id of an item
--- whose order counts; `previous`: that of the one before it
---@param message { payload: string, is_text: boolean, key: string? } `key` as in ConnectionRequest
---@return { delivered: integer, dropped: integer, position: string|userdata|nil } counts over all workers and nodes that
--- answered; `position` in a kept topic, null for a frame that it does not keep
---@return string? err "timeout" when a worker did not answer, "unreachable" when a node did not: they may have more sockets
function Push:to_many(op, args, message)
  Counters.count(REQUESTED[Push.KINDS[op]])
  args.is_text = message.is_text
  local began = Clock.monotonic()
  local request = request_to_many(self, op, args, message)
  request.waits, request.seconds = true, self.wait
  local await
  local function begin()
    number(self, request)
    await = self.nodes:begin(request, message.payload)
  end
  local results, is_complete, position = here(self, request, message, begin)
  if not await then
    begin()
  end
  local outcome = await()
  local total = { delivered = 0, dropped = 0, position = outcome.place and Position.encode(outcome.place) or position }
  if not self.nodes:is_alone() then
    ClusterMetrics.pushed(Clock.monotonic() - began)
  end
  add_up(total, results)
  add_up(total, outcome.results)
  return total, Search.err_of(outcome, is_complete)
end

local function done() end

--- Publishes a message that an answer of the handler asks for. Does not yield, and gives no counts.
---@param effect { topic: string, payload: string, is_text: boolean, except_self: boolean?, replace: string? }
---@param id string of the connection whose event was answered
function Push:publish_effect(effect, id)
  Counters.count(REQUESTED.topic)
  local args = {
    topic = effect.topic,
    except = effect.except_self and id or nil,
    is_text = effect.is_text,
    replace = effect.replace,
  }
  local request = request_to_many(self, "publish", args, { payload = effect.payload })
  request.seconds = self.keep
  number(self, request)
  if not request.kept then
    keep(self, "publish", args, effect.payload)
    self.bus:tell_all("publish", args, effect.payload)
  end
  if not self.nodes:is_alone() then
    self.nodes:send(request, effect.payload, done)
  end
end

return Push
