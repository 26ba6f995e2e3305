local Queue = require "framegate.runtime.queue"

describe("a queue", function()
  it("is empty at first, and again when all was taken", function()
    local queue = Queue.new()
    assert.are.equal(0, queue:count())
    assert.is_nil(queue:pop())
    assert.is_nil(queue:peek())
    queue:push "a"
    assert.are.equal("a", queue:pop())
    assert.are.equal(0, queue:count())
    assert.is_nil(queue:pop())
    assert.is_nil(queue:peek())
  end)

  it("gives out in the order in which it took", function()
    local queue = Queue.new()
    for i = 1, 100 do
      queue:push(i)
    end
    for i = 1, 100 do
      assert.are.equal(i, queue:peek())
      assert.are.equal(101 - i, queue:count())
      assert.are.equal(i, queue:pop())
    end
  end)

  it("takes back to the front, also while it is empty", function()
    local queue = Queue.new()
    queue:push_front "b"
    queue:push_front "a"
    queue:push "c"
    assert.are.same({ "a", "b", "c" }, { queue:pop(), queue:pop(), queue:pop() })
    queue:push_front "again"
    assert.are.equal("again", queue:peek())
    assert.are.equal(1, queue:count())
    assert.are.equal("again", queue:pop())
    assert.is_nil(queue:pop())
  end)

  it("gives the same item back that was put back", function()
    local queue = Queue.new()
    queue:push "first"
    queue:push "second"
    for _ = 1, 5 do
      queue:push_front(queue:pop())
    end
    assert.are.same({ "first", "second" }, { queue:pop(), queue:pop() })
  end)

  it("keeps nothing of what it gave out", function()
    local queue = Queue.new()
    for round = 1, 3 do
      for i = 1, 10 do
        queue:push(i)
      end
      for _ = 1, 10 do
        queue:pop()
      end
      for key, value in pairs(queue) do
        assert.is_string(key, "round " .. round .. ": still holds " .. tostring(value))
      end
    end
  end)

  it("does what a plain list would, whatever is asked of it", function()
    math.randomseed(7)
    local queue, list = Queue.new(), {}
    for i = 1, 20000 do
      local what = math.random(7)
      if what <= 3 then
        queue:push(i)
        list[#list + 1] = i
      elseif what == 4 then
        queue:push_front(i)
        table.insert(list, 1, i)
      else
        assert.are.equal(list[1], queue:peek())
        assert.are.equal(table.remove(list, 1), queue:pop())
      end
      assert.are.equal(#list, queue:count())
    end
  end)
end)
