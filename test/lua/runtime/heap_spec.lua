local Heap = require "framegate.runtime.heap"

local function times(heap)
  local list = {}
  while heap:peek() do
    list[#list + 1] = heap:peek().at
    heap:remove(heap:peek())
  end
  return list
end

local function filled(...)
  local heap, items = Heap.new(), {}
  for i, at in ipairs { ... } do
    items[i] = { at = at }
    heap:push(items[i])
  end
  return heap, items
end

describe("a heap", function()
  it("gives items in the order of their times", function()
    assert.are.same({ 1, 2, 2, 3, 5, 8, 9 }, times(filled(5, 2, 9, 1, 8, 2, 3)))
    assert.is_nil(Heap.new():peek())
  end)

  it("removes any item, and forgets its place", function()
    for removed = 1, 7 do
      local heap, items = filled(5, 2, 9, 1, 8, 4, 3)
      local rest = { 1, 2, 3, 4, 5, 8, 9 }
      for i, at in ipairs(rest) do
        if at == items[removed].at then
          table.remove(rest, i)
        end
      end
      heap:remove(items[removed])
      assert.is_nil(items[removed].place)
      assert.are.equal(6, heap.count)
      assert.are.same(rest, times(heap))
    end
  end)

  it("is right after many random changes", function()
    math.randomseed(7)
    local heap, items = Heap.new(), {}
    for _ = 1, 5000 do
      if #items > 0 and math.random() < 0.45 then
        heap:remove(table.remove(items, math.random(#items)))
      else
        local item = { at = math.random(1000) }
        heap:push(item)
        items[#items + 1] = item
      end
      for i = 2, heap.count do
        assert(heap[i].at >= heap[math.floor(i / 2)].at)
      end
      assert.are.equal(#items, heap.count)
    end
  end)
end)
