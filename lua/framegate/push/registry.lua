-- The sockets of this worker: by id, by topic and by user.

local IndexedSet = require "framegate.push.indexed_set"
local Topic = require "framegate.push.topic"

---@class Registry
local Registry = {}
Registry.__index = Registry

---@param options { max_topics: integer, on_group: (fun(group: string))? } `max_topics` of one connection; `on_group` is called
--- when a topic or user has its first connection here, and when it has lost the last: "topic:<name>" or "user:<name>"
---@return Registry
function Registry.new(options)
  return setmetatable({
    max_topics = options.max_topics,
    on_group = options.on_group or function() end,
    by_id = {},
    connections = 0,
    topics = {}, -- by name
    users = {}, -- sets of connections, by name of the user
  }, Registry)
end

local function leave_user(self, connection)
  local set = self.users[connection.user]
  set:remove(connection)
  if set.count == 0 then
    self.users[connection.user] = nil
    self.on_group("user:" .. connection.user)
  end
end

--- Adds a connection, without topics and without a user.
---@param connection Connection
function Registry:add(connection)
  self.by_id[connection.id] = connection
  self.connections = self.connections + 1
end

--- Removes a connection, and ends its subscriptions. It keeps the name of its user.
---@param connection Connection
function Registry:remove(connection)
  if self.by_id[connection.id] ~= connection then
    return
  end
  self.by_id[connection.id] = nil
  self.connections = self.connections - 1
  while connection.topics do
    self:unsubscribe(connection, connection.topics[#connection.topics])
  end
  if connection.user then
    leave_user(self, connection)
  end
end

--- Subscribes a connection to a topic.
---@param connection Connection
---@param name string of the topic, as protocol/topic_name.lua allows it
---@return boolean? ok
---@return string? err if the connection has MAX_TOPICS topics already
function Registry:subscribe(connection, name)
  if Topic.has(connection, name) then
    return true
  end
  if Topic.count_of(connection) >= self.max_topics then
    return nil, ("a connection may have %d topics at most (MAX_TOPICS)"):format(self.max_topics)
  end
  local topic = self.topics[name]
  if not topic then
    topic = Topic.new(name)
    self.topics[name] = topic
    self.on_group("topic:" .. name)
  end
  topic:add(connection)
  return true
end

--- Ends the subscription of a connection, if it has one.
---@param connection Connection
---@param name string of the topic
function Registry:unsubscribe(connection, name)
  if not Topic.has(connection, name) then
    return
  end
  local topic = self.topics[name]
  topic:remove(connection)
  if topic.subscribers.count == 0 then
    self.topics[name] = nil
    self.on_group("topic:" .. name)
  end
end

--- Sets the user of a connection; nil removes it.
---@param connection Connection
---@param user string?
function Registry:name_user(connection, user)
  if connection.user then
    leave_user(self, connection)
  end
  connection.user = user
  if user then
    local set = self.users[user]
    if not set then
      set = IndexedSet.new()
      self.users[user] = set
      self.on_group("user:" .. user)
    end
    set:add(connection)
  end
end

---@param id string
---@return Connection?
function Registry:get(id) return self.by_id[id] end

--- The subscribers of a topic.
---@param name string of the topic
---@return IndexedSet? subscribers nil when there are none
function Registry:topic(name)
  local topic = self.topics[name]
  return topic and topic.subscribers
end

--- The connections of a user.
---@param name string of the user
---@return IndexedSet? connections nil when there are none
function Registry:user(name) return self.users[name] end

--- Every connection, by id.
---@return table<string, Connection>
function Registry:all() return self.by_id end

--- Whether a topic or a user has a connection here.
---@param group string "topic:<name>" or "user:<name>"
---@return boolean
function Registry:has_group(group)
  local kind, name = group:match("^(%a+):(.*)$")
  return (kind == "topic" and self.topics or self.users)[name] ~= nil
end

--- The topics and users that have a connection here.
---@return string[] groups "topic:<name>" and "user:<name>"
function Registry:groups()
  local groups = {}
  for name in pairs(self.topics) do
    groups[#groups + 1] = "topic:" .. name
  end
  for name in pairs(self.users) do
    groups[#groups + 1] = "user:" .. name
  end
  return groups
end

--- How many subscribers each topic has.
---@return table<string, integer>
function Registry:topic_counts()
  local counts = {}
  for name, topic in pairs(self.topics) do
    counts[name] = topic.subscribers.count
  end
  return counts
end

--- How many connections there are.
---@return integer
function Registry:count() return self.connections end

return Registry
