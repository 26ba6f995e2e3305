-- What a worker does with its own sockets when it, or another worker, asks for it. Each operation takes `args` and a
-- payload, which is text if `args.is_text`, and returns a result that can travel as JSON.

local Counters = require "framegate.telemetry.counters"
local ConnectionInfo = require "framegate.telemetry.connection_info"
local Encoder = require "framegate.protocol.encoder"
local Gc = require "framegate.runtime.gc"
local Stats = require "framegate.worker.stats"

---@class Operations
---@field private registry Registry
local Operations = {}
Operations.__index = Operations

local GONE = { gone = true }

local DELIVERED = Counters.place "framegate_pushes_delivered_total"
local DROPPED = Counters.place "framegate_pushes_dropped_total"

---@param parts { registry: Registry }
---@return Operations
function Operations.new(parts) return setmetatable({ registry = parts.registry }, Operations) end

local function counted(kind, delivered, dropped)
  Counters.count(DELIVERED[kind], delivered)
  Counters.count(DROPPED[kind], dropped)
  return { delivered = delivered, dropped = dropped }
end

local function deliver(kind, connections, args, payload)
  Gc.note_frame()
  local message, except = Encoder.message(payload, args.is_text), args.except
  local delivered, dropped = 0, 0
  for _, connection in connections do
    if connection.id ~= except and not connection.outbox.is_closed then
      if connection:offer(message) then
        delivered = delivered + 1
      else
        dropped = dropped + 1
      end
    end
  end
  return counted(kind, delivered, dropped)
end

local function nobody() end

local function members(group)
  if not group then
    return nobody
  end
  local i = 0
  return function()
    i = i + 1
    local connection = group[i]
    return connection and i, connection
  end
end

local function everybody(self)
  local id, connection
  return function()
    id, connection = next(self.registry:all(), id)
    return id, connection
  end
end

--- A message to all subscribers of a topic.
function Operations:publish(args, payload)
  return deliver("topic", members(self.registry:topic(args.topic)), args, payload)
end

--- A message to all connections of a user.
function Operations:send_to_user(args, payload)
  return deliver("user", members(self.registry:user(args.user)), args, payload)
end

--- A message to every connection.
function Operations:broadcast(args, payload) return deliver("broadcast", everybody(self), args, payload) end

--- A message to one connection.
function Operations:send(args, payload)
  local connection = self.registry:get(args.id)
  if not connection or connection.outbox.is_closed then
    return GONE
  end
  local taken = connection:offer(Encoder.message(payload, args.is_text))
  return counted("connection", taken and 1 or 0, taken and 0 or 1)
end

function Operations:close(args)
  local connection = self.registry:get(args.id)
  if not connection then
    return GONE
  end
  connection:close(args.code, args.reason, "control")
  return { closed = true }
end

function Operations:subscribe(args)
  local connection = self.registry:get(args.id)
  if not connection then
    return GONE
  end
  local ok, err = self.registry:subscribe(connection, args.topic)
  return { ok = ok, err = err }
end

function Operations:unsubscribe(args)
  local connection = self.registry:get(args.id)
  if not connection then
    return GONE
  end
  self.registry:unsubscribe(connection, args.topic)
  return { ok = true }
end

--- The facts of one connection.
function Operations:describe(args)
  local connection = self.registry:get(args.id)
  return connection and { connection = ConnectionInfo.of(connection, args.has_query) } or GONE
end

-- A page of facts: in the order of ids, from the one after `args.after`, at most `args.limit`.
local function page(self, connections, args)
  local ids, facts = {}, {}
  for _, connection in connections do
    if connection.id > args.after then
      ids[#ids + 1] = connection.id
    end
  end
  table.sort(ids)
  for i = 1, math.min(#ids, args.limit) do
    facts[i] = ConnectionInfo.of(self.registry:get(ids[i]), args.has_query)
  end
  return facts
end

--- Connections, a page at a time.
function Operations:list(args) return { connections = page(self, everybody(self), args), count = self.registry:count() } end

--- How many subscribers each topic has.
function Operations:count_topics() return { topics = self.registry:topic_counts() } end

--- Who subscribes to a topic, a page at a time.
function Operations:list_topic(args)
  local group = self.registry:topic(args.topic)
  return { connections = page(self, members(group), args), count = group and group.count or 0 }
end

--- The facts of this worker.
function Operations.describe_worker() return Stats.read() end

return Operations
