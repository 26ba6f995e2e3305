-- Messages that a handler leaves with the gateway, which sends them later by itself (GRIP): one keep-alive, sent whenever a
-- socket was silent for a time, or at intervals; and one delayed message.

local Clock = require "framegate.runtime.clock"
local Deadlines = require "framegate.runtime.deadlines"
local Encoder = require "framegate.protocol.encoder"

local Later = {}

---@class LaterMessage: HeapItem
---@field at number when it is looked at next, by Clock.monotonic
---@field connection Connection
---@field message { kind: "text"|"binary"|"ping"|"pong", payload: string }
---@field seconds number
---@field is_interval boolean? whether a keep-alive is sent even if something else was
---@field sent_at number when its connection was last sent something, by Clock.monotonic

local SHORTEST_SECONDS = 0.01 -- between two keep-alives

local keep_alives, delayed = {}, {} -- by connection
local registry

--- Gives this module the instances of its worker.
---@param worker Worker
function Later.wire(worker) registry = worker.registry end

local function send(connection, message)
  if message.kind == "ping" or message.kind == "pong" then
    connection.outbox:push(Encoder[message.kind](message.payload))
  else
    connection:send(message.payload, message.kind == "text")
  end
end

-- Whether messages may still be sent to a socket, now or when it has its transport.
local function is_open(connection)
  local phase = connection.phase
  return (phase == "open" or phase == "opening") and not connection.outbox.is_closed
end

-- A socket that was refused or has ended has nothing to send.
local function takes_messages(connection) return registry:get(connection.id) ~= nil and is_open(connection) end

local keeping

local function forget_keep_alive(connection)
  keep_alives[connection] = nil
  connection:grip_facts().is_kept_alive = nil
end

-- A client that is away, or reads too slowly, needs none.
local function may_keep_alive(connection, message)
  return not connection:is_detached() and connection.outbox:accepts(message.payload)
end

local function on_keep_alive(item)
  local connection, due = item.connection, item.is_interval and 0 or item.sent_at + item.seconds
  if not is_open(connection) then
    return forget_keep_alive(connection)
  end
  if due <= item.at then
    if may_keep_alive(connection, item.message) then
      send(connection, item.message)
    end
    due = item.at + item.seconds
  end
  item.at = math.max(due, Clock.monotonic())
  keeping:add(item)
end

keeping = Deadlines.new("sending keep-alives", on_keep_alive)

local function on_delayed(item)
  delayed[item.connection] = nil
  if is_open(item.connection) then
    send(item.connection, item.message)
  end
end

local delaying = Deadlines.new("sending delayed messages", on_delayed)

local function item_of(connection, facts)
  local now = Clock.monotonic()
  return {
    at = now + facts.seconds,
    connection = connection,
    message = facts.message,
    seconds = facts.seconds,
    is_interval = facts.is_interval,
    sent_at = now,
  }
end

local function stop_keep_alive(connection)
  local item = keep_alives[connection]
  if item then
    forget_keep_alive(connection)
    keeping:remove(item)
  end
end

--- Sets what is sent to a silent socket. It replaces what was set before. One that is not registered, or closes, gets nothing.
---@param connection Connection
---@param facts { message: table?, seconds: number, is_interval: boolean? } without a message, nothing is sent any more
function Later.keep_alive(connection, facts)
  stop_keep_alive(connection)
  if not facts.message or facts.seconds <= 0 or not takes_messages(connection) then
    return
  end
  local item = item_of(connection, facts)
  item.seconds = math.max(item.seconds, SHORTEST_SECONDS)
  keep_alives[connection] = item
  connection:grip_facts().is_kept_alive = true
  keeping:add(item)
end

--- Notes that something is sent to a socket that has a keep-alive.
---@param connection Connection
function Later.note_sent(connection) keep_alives[connection].sent_at = Clock.monotonic() end

--- Sends the delayed message of a socket now, if it has one.
---@param connection Connection
function Later.flush(connection)
  local item = delayed[connection]
  if item then
    delaying:remove(item)
    on_delayed(item)
  end
end

--- Sends a message after a time. One that waits already is sent now. A socket that is not registered, or closes, gets nothing.
---@param connection Connection
---@param facts { message: table?, seconds: number }
function Later.delay(connection, facts)
  Later.flush(connection)
  if facts.message and takes_messages(connection) then
    local item = item_of(connection, facts)
    delayed[connection] = item
    delaying:add(item)
  end
end

--- Forgets the messages of a socket that ends, or goes to another worker.
---@param connection Connection
function Later.clear(connection)
  stop_keep_alive(connection)
  local item = delayed[connection]
  if item then
    delayed[connection] = nil
    delaying:remove(item)
  end
end

local function packed(item, seconds)
  local message = item.message
  return {
    kind = message.kind,
    payload = ngx.encode_base64(message.payload),
    seconds = seconds,
    is_interval = item.is_interval or nil,
  }
end

local function unpacked(facts)
  local message = { kind = facts.kind, payload = ngx.decode_base64(facts.payload) }
  return { message = message, seconds = facts.seconds, is_interval = facts.is_interval }
end

--- What a socket takes along when it moves to another worker, so that JSON can represent it.
---@param connection Connection
---@return { keep_alive: table?, delayed: table? }?
function Later.pack(connection)
  local keep_alive, delay = keep_alives[connection], delayed[connection]
  return (keep_alive or delay)
      and {
        keep_alive = keep_alive and packed(keep_alive, keep_alive.seconds),
        delayed = delay and packed(delay, math.max(delay.at - Clock.monotonic(), 0)),
      }
    or nil
end

--- Gives a socket what it had in another worker.
---@param connection Connection
---@param facts { keep_alive: table?, delayed: table? }
function Later.unpack(connection, facts)
  if facts.keep_alive then
    Later.keep_alive(connection, unpacked(facts.keep_alive))
  end
  if facts.delayed then
    Later.delay(connection, unpacked(facts.delayed))
  end
end

return Later
