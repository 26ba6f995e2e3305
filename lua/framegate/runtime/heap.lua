-- Items in the order of their times: the earliest is at the front. A binary heap, so that adding and removing take time in
-- the logarithm of their number. An item is in one heap at most, which keeps its position in `place`.

---@class HeapItem
---@field at number its time
---@field place integer? in the heap, while it is there

---@class Heap
local Heap = {}
Heap.__index = Heap

local floor = math.floor

---@return Heap
function Heap.new() return setmetatable({ count = 0 }, Heap) end

local function put(self, item, place)
  self[place], item.place = item, place
end

local function rise(self, item, place)
  while place > 1 do
    local parent = floor(place / 2)
    if self[parent].at <= item.at then
      break
    end
    put(self, self[parent], place)
    place = parent
  end
  put(self, item, place)
end

local function sink(self, item, place)
  local count = self.count
  while 2 * place <= count do
    local child = 2 * place
    if child < count and self[child + 1].at < self[child].at then
      child = child + 1
    end
    if item.at <= self[child].at then
      break
    end
    put(self, self[child], place)
    place = child
  end
  put(self, item, place)
end

--- Adds an item.
---@param item HeapItem in no heap
function Heap:push(item)
  self.count = self.count + 1
  rise(self, item, self.count)
end

--- The item with the earliest time.
---@return HeapItem? item nil when empty
function Heap:peek() return self[1] end

--- Removes an item, wherever it is.
---@param item HeapItem in this heap
function Heap:remove(item)
  local place, last = item.place, self[self.count]
  self[self.count], self.count, item.place = nil, self.count - 1, nil
  if last ~= item then
    sink(self, last, place)
    rise(self, last, last.place)
  end
end

return Heap
