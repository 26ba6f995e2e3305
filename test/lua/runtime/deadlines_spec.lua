local Worker = require "support.worker"
local Loop = require "support.event_loop"
local Deadlines = require "framegate.runtime.deadlines"
local Stub = require "support.ngx"

describe("deadlines", function()
  local deadlines, called

  before_each(function()
    Loop.reset()
    Worker.new()
    called = {}
    deadlines = Deadlines.new("a spec", function(item) called[#called + 1] = item.name .. "@" .. Stub.now - 1000 end)
    Stub.now = 1000
  end)

  local function add(name, seconds)
    local item = { name = name, at = Stub.now + seconds }
    deadlines:add(item)
    return item
  end

  it("come in the order of their times, never early", function()
    add("late", 30)
    add("soon", 10)
    add("first", 5)
    Loop.run(4.999)
    assert.are.same({}, called)
    Loop.run(100)
    assert.are.same({ "first@5", "soon@10", "late@30" }, called)
  end)

  it("come when one is added while the thread waits for a later one", function()
    add("late", 5000)
    Loop.run(100)
    add("soon", 1)
    Loop.run(1)
    assert.are.same({ "soon@101" }, called)
    Loop.run(5000)
    assert.are.same({ "soon@101", "late@5000" }, called)
  end)

  it("that are removed do not come, and removing twice does nothing", function()
    local item = add("removed", 1)
    add("other", 2)
    deadlines:remove(item)
    deadlines:remove(item)
    Loop.run(10)
    assert.are.same({ "other@2" }, called)
    add("again", 1)
    Loop.run(10)
    assert.are.equal(2, #called)
  end)

  it("may be added by what is called, and an error there ends nothing", function()
    local again = true
    deadlines.on_due = function(item)
      called[#called + 1] = item.name
      if again then
        again = false
        add("again", 1)
        error "defect"
      end
    end
    add("first", 1)
    add("second", 1)
    Loop.run(5)
    assert.are.same({ "first", "second", "again" }, called)
  end)

  it("that are over already come in the next turn, however many there are", function()
    for i = 1, 1201 do
      add(tostring(i), -1)
    end
    assert.are.same({}, called)
    Loop.run(1)
    assert.are.equal(1201, #called)
  end)
end)
