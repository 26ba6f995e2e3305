-- What a connection takes along when it moves to another worker, and how it is put together again there.

local Alarms = require "framegate.socket.alarms"
local Clock = require "framegate.runtime.clock"
local Inbox = require "framegate.socket.inbox"
local Later = require "framegate.socket.later"
local Options = require "framegate.socket.options"
local Parcel = require "framegate.session.parcel"
local RelayedStream = require "framegate.socket.relayed_stream"
local Session = require "framegate.session.session"
local WebSocketEvents = require "framegate.protocol.websocket_events"

local Baggage = {}

local TRAFFIC = { "frames_in", "frames_out", "bytes_in", "bytes_out" }

local function traffic_of(connection)
  local traffic = {}
  for _, name in ipairs(TRAFFIC) do
    traffic[name] = connection.traffic[name]
  end
  return traffic
end

local function options_of(options)
  return {
    rate = options.rate,
    closes_on_overflow = options.closes_on_overflow,
    takes_batches = options.takes_batches,
    text_mode = options.text_mode,
    protocol = options.protocol,
    handler = options.handler,
    is_cached = options.is_cached,
  }
end

local function topics_of(connection)
  local topics = {}
  for i, topic in ipairs(connection.topics or {}) do
    topics[i] = topic
  end
  return topics
end

-- Adds the items of a list, and returns how many there are.
local function add(items, list)
  for _, item in ipairs(list) do
    items[#items + 1] = item
  end
  return #list
end

-- What a handler that speaks GRIP has left with the gateway, so that JSON can represent it.
local function grip_of(connection)
  local facts = connection.grip
  return facts
    and {
      later = Later.pack(connection),
      filters = facts.filters,
      rest = facts.rest and ngx.encode_base64(WebSocketEvents.encode(facts.rest)),
    }
end

--- Packs a connection that has a session and no transport.
---@param connection Connection
---@param more table more facts for the new side; `stream`: of the answer that streams, as Relay gives them
---@return string bytes
function Baggage.pack(connection, more)
  local items, session = {}, connection.session
  local waiting, keys = connection.outbox:contents()
  local messages, payloads = Inbox.contents(connection.inbox)
  local facts = {
    id = connection.id,
    path = connection.path,
    handshake = connection.handshake,
    opened = connection.traffic.opened,
    open_seconds = Clock.monotonic() - connection:began_at(),
    away_seconds = Clock.monotonic() - session.detached_at,
    options = options_of(connection.options),
    events = connection.traffic.events,
    state = connection.state,
    user = connection.user,
    topics = topics_of(connection),
    traffic = traffic_of(connection),
    alarm = Alarms.left(connection),
    session = session:facts(),
    ring = add(items, session.ring:frames()),
    outbox = add(items, waiting),
    keys = keys,
    inbox = messages,
    grip = grip_of(connection),
    more = more,
  }
  add(items, payloads)
  return Parcel.pack(facts, items)
end

local function restore_outbox(connection, facts, items)
  local outbox, first = connection.outbox, facts.ring
  for i = 1, facts.outbox do
    local key = facts.keys and facts.keys[tostring(i)]
    if key then
      outbox:push_latest(items[first + i], key)
    else
      outbox:push(items[first + i])
    end
  end
end

local function restore_inbox(connection, facts, items)
  local place = facts.ring + facts.outbox
  for _, message in ipairs(facts.inbox) do
    if message.kind == "alarm" then
      connection.inbox = Inbox.add_own(connection.inbox, { kind = "alarm", alarm = Alarms.due(connection) })
    elseif message.kind then
      connection.inbox = Inbox.add_own(connection.inbox, { kind = message.kind })
    elseif message.cause then
      connection.inbox = Inbox.add_close(connection.inbox, message)
    else
      place = place + 1
      connection.inbox = Inbox.add_message(connection.inbox, items[place], message.is_text)
    end
  end
end

local function restore_grip(connection, facts)
  local grip = connection:grip_facts()
  grip.filters, grip.rest = facts.filters, facts.rest and WebSocketEvents.decode(ngx.decode_base64(facts.rest))
  if facts.later then
    Later.unpack(connection, facts.later)
  end
end

--- Gives a connection what it had on the other side. Its session has no transport.
---@param connection Connection
---@param facts table as Parcel.unpack gives them
---@param items string[]
function Baggage.restore(connection, facts, items)
  local traffic = connection.traffic
  traffic.opened, traffic.opened_at = facts.opened, Clock.monotonic() - facts.open_seconds
  traffic.events = facts.events
  for name, value in pairs(facts.traffic) do
    traffic[name] = value
  end
  connection.handshake = facts.handshake
  connection.options, connection.state = Options.of(facts.options), facts.state
  local frames = {}
  for i = 1, facts.ring do
    frames[i] = items[i]
  end
  connection:begin_session(Session.restore(facts.id, facts.session, frames))
  restore_outbox(connection, facts, items)
  restore_inbox(connection, facts, items)
  if facts.grip then
    restore_grip(connection, facts.grip)
  end
  if facts.more.stream then
    RelayedStream.begin(connection, facts.more.stream)
  end
  if facts.alarm then
    Alarms.set(connection, math.max(facts.alarm, 0.001))
  end
end

return Baggage
