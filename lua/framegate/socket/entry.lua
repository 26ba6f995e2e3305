-- Enters a socket in this worker that comes from another one, or from a file, and gives it what it had there.

local AddressCount = require "framegate.socket.address_count"
local Attachment = require "framegate.socket.attachment"
local Baggage = require "framegate.socket.baggage"
local Connection = require "framegate.socket.connection"
local Lifecycle = require "framegate.telemetry.lifecycle"
local Moving = require "framegate.socket.moving"
local Record = require "framegate.socket.record"

local Entry = {}

local members, registry, feeds

--- Gives this module the instances of its worker.
---@param worker Worker
function Entry.wire(worker)
  members, registry, feeds = worker.members, worker.registry, worker.feeds
end

--- Enters a socket. From now on it gathers what is pushed to it. Does not yield.
---@param id string
---@param facts { path: string, handshake: string, user: string?, topics: string[], filters: ConnectionFilters? }
---@return Connection
function Entry.enter(id, facts)
  local connection = Connection.new { id = id, path = facts.path, lines = facts.handshake }
  Moving.begin(connection, true)
  registry:add(connection)
  for _, topic in ipairs(facts.topics) do
    registry:subscribe(connection, topic)
  end
  registry:name_user(connection, facts.user)
  if facts.filters then
    connection:grip_facts().filters = facts.filters
  end
  return connection
end

local function ignore() end

-- Subscribes to the kept topics, behind what was delivered on the other side.
local function follow(connection, kept)
  for _, entry in ipairs(kept) do
    local wanted = { topic = entry.topic, otherwise = "last", is_patient = true }
    if entry.position == "" then
      wanted.last = math.huge
    else
      wanted.after = entry.position
    end
    feeds:subscribe(connection, wanted, ignore)
  end
end

-- Delivers what was gathered. A topic may have become one that is followed only after this move had begun, when the other side
-- knew where it is in it. Then its frames come from the history.
local function offer(connection, gathered, kept)
  local is_followed = {}
  for _, entry in ipairs(kept) do
    is_followed[entry.topic] = true
  end
  for _, message in ipairs(gathered) do
    if not is_followed[message.topic or ""] then
      connection:offer(message)
    end
  end
end

--- The topics of a connection, those whose frames are kept apart: another side does not gather them, but reads from the history
--- what comes behind the last delivered one.
---@param connection Connection
---@return string[] topics
---@return { topic: string, position: string }[] kept and where it is in them
function Entry.topics_of(connection)
  local topics, kept = {}, {}
  for _, topic in ipairs(connection.topics or {}) do
    local position = feeds:position_of(connection, topic)
    if position then
      kept[#kept + 1] = { topic = topic, position = position }
    else
      topics[#topics + 1] = topic
    end
  end
  return topics, kept
end

--- The kept topics of a connection, and where it is in them.
---@param connection Connection
---@return { topic: string, position: string }[]
function Entry.kept_of(connection)
  local _, kept = Entry.topics_of(connection)
  return kept
end

--- Gives a socket that was entered here what it had on the other side, and then what was gathered. Does not yield.
---@param connection Connection
---@param facts table as Parcel.unpack gives them
---@param items string[]
function Entry.settle(connection, facts, items)
  local gathered = connection.moving.buffer
  Baggage.restore(connection, facts, items)
  connection.session.behind = facts.more.delivered
  connection.moving.buffer = nil
  local node = members:node()
  connection.home = node ~= connection.id:sub(1, #node) and node or nil
  Record.adopt(connection)
  AddressCount.add(connection)
  Lifecycle.moved(1)
  Attachment.arrive(connection, facts.away_seconds)
  follow(connection, facts.more.kept)
  offer(connection, gathered, facts.more.kept)
  Moving.finish(connection)
  connection:advance()
end

return Entry
