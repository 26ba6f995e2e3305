-- The sockets that this worker holds: by id, by topic, by user.

local Config = require "framegate.config"
local IndexedSet = require "framegate.push.indexed_set"

local Registry = {}

local by_id = {}
local count = 0
local topics, users = {}, {}

local function join(groups, name, connection)
  local group = groups[name]
  if not group then
    group = IndexedSet.new()
    groups[name] = group
  end
  group:add(connection)
end

local function part(groups, name, connection)
  local group = groups[name]
  if group and group:remove(connection) and group.count == 0 then
    groups[name] = nil
  end
end

---@param connection Connection
function Registry.add(connection)
  by_id[connection.id] = connection
  count = count + 1
end

--- Takes a connection out, and all that was known of it.
---@param connection Connection
function Registry.remove(connection)
  if by_id[connection.id] ~= connection then
    return
  end
  by_id[connection.id] = nil
  count = count - 1
  for topic in pairs(connection.topics or {}) do
    part(topics, topic, connection)
  end
  connection.topics = nil
  if connection.user then
    part(users, connection.user, connection)
  end
end

local function count_of(names)
  local number = 0
  for _ in pairs(names) do
    number = number + 1
  end
  return number
end

--- Subscribes a connection to a topic.
---@param connection Connection
---@param topic string 1 to 255 bytes of UTF-8
---@return boolean? ok
---@return string? err when the connection has MAX_TOPICS topics
function Registry.subscribe(connection, topic)
  local own = connection.topics or {}
  if own[topic] then
    return true
  end
  if count_of(own) >= Config.MAX_TOPICS then
    return nil, ("a connection may have %d topics at most (MAX_TOPICS)"):format(Config.MAX_TOPICS)
  end
  own[topic] = true
  connection.topics = own
  join(topics, topic, connection)
  return true
end

---@param connection Connection
---@param topic string
function Registry.unsubscribe(connection, topic)
  if connection.topics and connection.topics[topic] then
    connection.topics[topic] = nil
    part(topics, topic, connection)
  end
end

--- Names the user of a connection; nil takes the name away.
---@param connection Connection
---@param user string?
function Registry.name_user(connection, user)
  if connection.user then
    part(users, connection.user, connection)
  end
  connection.user = user
  if user then
    join(users, user, connection)
  end
end

---@param id string
---@return Connection?
function Registry.get(id) return by_id[id] end

---@param name string
---@return IndexedSet? subscribers nil when there are none
function Registry.topic(name) return topics[name] end

---@param name string
---@return IndexedSet?
function Registry.user(name) return users[name] end

--- Every connection, by id.
---@return table<string, Connection>
function Registry.all() return by_id end

--- How many subscribers each topic has.
---@return table<string, integer>
function Registry.topic_counts()
  local counts = {}
  for name, group in pairs(topics) do
    counts[name] = group.count
  end
  return counts
end

---@return integer
function Registry.count() return count end

return Registry
