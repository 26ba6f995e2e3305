-- A first-in-first-out queue. Unlike table.remove, `pop` does not move the other items.

---@class Queue
local Queue = {}
Queue.__index = Queue

---@return Queue
function Queue.new() return setmetatable({ first = 1, last = 0 }, Queue) end

--- Adds an item at the end.
function Queue:push(item)
  local last = self.last + 1
  self[last] = item
  self.last = last
end

--- Adds an item at the front, where the next `pop` takes it.
function Queue:push_front(item)
  local first = self.first - 1
  self[first] = item
  self.first = first
end

--- Removes the item at the front.
---@return any? item nil when empty
function Queue:pop()
  local first = self.first
  local item = self[first]
  if item == nil then
    return nil
  end
  self[first] = nil
  if first == self.last then
    self.first, self.last = 1, 0
  else
    self.first = first + 1
  end
  return item
end

--- The item at the front.
---@return any? item nil when empty
function Queue:peek() return self[self.first] end

---@return integer
function Queue:count() return self.last - self.first + 1 end

return Queue
