-- A topic: a name, and the connections of this worker that get what is published to it.
-- A connection keeps the names of its topics in one table, as a list with the place of each name beside it. So it knows
-- how many there are without counting, and one that subscribes to nothing keeps no table.

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

---@param connection Connection that does not subscribe yet
function Topic:add(connection)
  local names = connection.topics or {}
  local place = #names + 1
  names[place], names[self.name] = self.name, place
  connection.topics = names
  self.subscribers:add(connection)
end

--- The name that is last in the list takes the place of the one that goes.
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
