-- A topic: a name, and its subscribers among the connections of this worker.
-- A connection keeps the names of its topics in one table: a list, with the position of each name beside it.
-- So their number is known without counting, and a connection without topics keeps no table.

local IndexedSet = require "framegate.push.indexed_set"

---@class Topic
---@field name string as protocol/topic_name.lua allows it
---@field subscribers IndexedSet
local Topic = {}
Topic.__index = Topic

---@param name string
---@return Topic
function Topic.new(name) return setmetatable({ name = name, subscribers = IndexedSet.new() }, Topic) end

--- How many topics a connection has.
---@param connection Connection
---@return integer
function Topic.count_of(connection) return connection.topics and #connection.topics or 0 end

--- Whether a connection subscribes to a topic of this name.
---@param connection Connection
---@param name string
---@return boolean
function Topic.has(connection, name) return connection.topics ~= nil and connection.topics[name] ~= nil end

--- Adds a subscriber.
---@param connection Connection that does not subscribe yet
function Topic:add(connection)
  local names = connection.topics or {}
  local place = #names + 1
  names[place], names[self.name] = self.name, place
  connection.topics = names
  self.subscribers:add(connection)
end

--- Removes a subscriber. In its list of names, the last one moves to the position of the removed one.
---@param connection Connection that subscribes
function Topic:remove(connection)
  local names = connection.topics
  local place, last = names[self.name], #names
  local moved = names[last]
  names[place], names[moved] = moved, place
  names[last], names[self.name] = nil, nil
  if last == 1 then
    connection.topics = nil
  end
  self.subscribers:remove(connection)
end

return Topic
