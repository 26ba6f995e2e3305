-- A set of connections that is iterated often and may change at any time, such as the subscribers of a topic.

---@class IndexedSet
---@field count integer
local IndexedSet = {}
IndexedSet.__index = IndexedSet

---@return IndexedSet
function IndexedSet.new() return setmetatable({ count = 0, places = {} }, IndexedSet) end

--- Adds a connection.
---@param connection Connection
---@return boolean added false if the set has it already
function IndexedSet:add(connection)
  if self.places[connection] then
    return false
  end
  local count = self.count + 1
  self.count, self[count], self.places[connection] = count, connection, count
  return true
end

--- Removes a connection. The last one moves to its position.
---@param connection Connection
---@return boolean removed false if the set does not have it
function IndexedSet:remove(connection)
  local place, count = self.places[connection], self.count
  if not place then
    return false
  end
  local last = self[count]
  self[place], self.places[last] = last, place
  self[count], self.places[connection] = nil, nil
  self.count = count - 1
  return true
end

return IndexedSet
