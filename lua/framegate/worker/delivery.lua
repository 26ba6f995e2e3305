-- Pushes to sockets of this worker: the frame is built once, offered to each of them, and counted.

local Counters = require "framegate.telemetry.counters"
local Encoder = require "framegate.protocol.encoder"
local Filters = require "framegate.push.filters"
local Gc = require "framegate.runtime.gc"

local Delivery = {}

local DELIVERED = Counters.place "framegate_pushes_delivered_total"
local DROPPED = Counters.place "framegate_pushes_dropped_total"

--- Counts a push.
---@param kind string
---@param delivered integer
---@param dropped integer
---@return { delivered: integer, dropped: integer }
function Delivery.counted(kind, delivered, dropped)
  Counters.count(DELIVERED[kind], delivered)
  Counters.count(DROPPED[kind], dropped)
  return { delivered = delivered, dropped = dropped }
end

--- Offers a message to connections.
---@param kind string of the counters
---@param connections fun(): any, Connection? an iterator
---@param args { is_text: boolean, except: string?, replace: string?, skips: table<Connection, true>?, topic: string?,
--- meta: table<string, string>? } `meta`: for filters
---@param payload string
---@return { delivered: integer, dropped: integer }
function Delivery.to(kind, connections, args, payload)
  Gc.note_frame()
  local message, except, skips = Encoder.message(payload, args.is_text, args.replace), args.except, args.skips
  message.from, message.topic = args.from, args.topic
  local delivered, dropped = 0, 0
  for _, connection in connections do
    local is_left_out = connection.id == except or connection.outbox.is_closed or skips and skips[connection]
    if not is_left_out and (not args.meta or Filters.pass(connection, args.topic, args.meta)) then
      if connection:offer(message) then
        delivered = delivered + 1
      else
        dropped = dropped + 1
      end
    end
  end
  return Delivery.counted(kind, delivered, dropped)
end

local function nobody() end

--- Iterates over the connections of a topic or user.
---@param group IndexedSet?
---@return fun(): integer?, Connection?
function Delivery.members(group)
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

--- Sends a message to the subscribers of a topic, in this worker and without regard to the topic's history.
---@param registry Registry
---@param args { topic: string, is_text: boolean, except: string?, skips: table<Connection, true>? }
---@param payload string
---@return { delivered: integer, dropped: integer }
function Delivery.to_subscribers(registry, args, payload)
  return Delivery.to("topic", Delivery.members(registry:topic(args.topic)), args, payload)
end

--- Sends a message of a topic to one connection, which was left out before.
---@param connection Connection
---@param args { is_text: boolean, except: string?, replace: string? }
---@param payload string
---@return { delivered: integer, dropped: integer }
function Delivery.to_one(connection, args, payload)
  return Delivery.to("topic", Delivery.members { connection }, args, payload)
end

return Delivery
