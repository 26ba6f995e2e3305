-- A list whose items can be removed from any place in constant time. An item is a table, and in one list at a time.

---@class LinkedList
---@field first table?
---@field last table?
local LinkedList = {}
LinkedList.__index = LinkedList

---@return LinkedList
function LinkedList.new() return setmetatable({}, LinkedList) end

--- Adds an item at the end.
---@param item table whose fields `list`, `before` and `after` belong to this list from now on
function LinkedList:append(item)
  local last = self.last
  item.list, item.before, self.last = self, last, item
  if last then
    last.after = item
  else
    self.first = item
  end
end

--- Removes an item.
---@param item table of this list
function LinkedList:remove(item)
  local before, after = item.before, item.after
  if before then
    before.after = after
  else
    self.first = after
  end
  if after then
    after.before = before
  else
    self.last = before
  end
  item.list, item.before, item.after = nil, nil, nil
end

return LinkedList
