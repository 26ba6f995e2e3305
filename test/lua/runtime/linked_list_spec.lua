local LinkedList = require "framegate.runtime.linked_list"

describe("a linked list", function()
  local function items(list)
    local names, item = {}, list.first
    while item do
      names[#names + 1], item = item.name, item.after
    end
    return table.concat(names, " ")
  end

  it("gives up any item, and takes it back at the end", function()
    local list, a, b, c = LinkedList.new(), { name = "a" }, { name = "b" }, { name = "c" }
    for _, item in ipairs { a, b, c } do
      list:append(item)
    end
    assert.are.equal("a b c", items(list))
    list:remove(b)
    assert.are.equal("a c", items(list))
    assert.is_nil(b.list)
    list:append(b)
    list:remove(a)
    assert.are.equal("c b", items(list))
    list:remove(b)
    list:remove(c)
    assert.is_nil(list.first)
    assert.is_nil(list.last)
    list:append(a)
    assert.are.equal("a", items(list))
    assert.are.equal(list, a.list)
  end)
end)
