-- A set of connections that is gone through often and changed at any time: a topic, a user, everybody.

---@class IndexedSet
---@field count integer
local IndexedSet = {}
IndexedSet.__index = IndexedSet

---@return IndexedSet
function IndexedSet.new() return setmetatable({ count = 0, places = {} }, IndexedSet) end

---@param connection Connection
---@return boolean added false when it was there
function IndexedSet:add(connection)
  if self.places[connection] then
    return false
  end
  local count = self.count + 1
  self.count, self[count], self.places[connection] = count, connection, count
  return true
end

--- The last one takes the place of the one that goes.
---@param connection Connection
---@return boolean removed
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
