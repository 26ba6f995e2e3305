local Stub = require "support.ngx"
local EventQueue = require "framegate.dispatch.event_queue"

describe("waiting events", function()
  local queue

  before_each(function()
    Stub.now = 1000
    queue = EventQueue.new { now = function() return Stub.now end, takes_batches = true }
  end)

  local function event(name, options)
    options = options or {}
    return { name = name, body = options.body or "", connection = { options = { takes_batches = options.batch } } }
  end

  local function names(events)
    local list = {}
    for i, one in ipairs(events) do
      list[i] = one.name
    end
    return table.concat(list, " ")
  end

  it("are taken in their order, those that travel alone first", function()
    queue:add(event("a", { batch = true }))
    queue:add(event "b")
    queue:add(event "c")
    assert.is_true(queue:has_single())
    assert.are.equal("b", queue:take_any().name)
    assert.are.equal("c", queue:take_single().name)
    assert.is_false(queue:has_single())
    assert.is_true(queue:has_batch())
    assert.are.equal("a", queue:take_any().name)
    assert.is_nil(queue:take_any())
  end)

  it("one that is put back is the next", function()
    queue:add(event "a")
    queue:put_back(event "b")
    assert.are.equal("b", queue:take_single().name)
  end)

  it("travel together, up to 512 events and 1 MiB", function()
    for i = 1, 513 do
      queue:add(event(tostring(i), { batch = true }))
    end
    assert.are.equal(512, #queue:take_batch())
    assert.are.equal("513", names(queue:take_batch()))
    for i = 1, 65 do
      queue:add(event(tostring(i), { batch = true, body = ("x"):rep(16 * 1024) }))
    end
    assert.are.equal(64, #queue:take_batch())
    assert.are.equal("65", names(queue:take_batch()))
  end)

  it("come alone if they have more than 16 KiB", function()
    queue:add(event("a", { batch = true, body = ("x"):rep(16 * 1024 + 1) }))
    assert.is_false(queue:has_batch())
    assert.are.equal("a", queue:take_single().name)
  end)

  it("wait for their time to be sent again", function()
    queue:add_later(event "a", 1002)
    queue:add_later(event "b", 1001)
    assert.are.same({ 0, 2 }, { queue:for_lane(), queue:count() })
    queue:take_due()
    assert.are.equal(0, queue:for_lane())
    Stub.now = 1001
    queue:take_due()
    assert.are.equal("b", queue:take_single().name)
    Stub.now = 1002
    queue:take_due()
    assert.are.equal("a", queue:take_single().name)
    assert.are.equal(0, queue:count())
  end)

  it("that waited too long leave, and the others keep their order", function()
    for _, name in ipairs { "a", "b", "c", "d" } do
      queue:add(event(name, { batch = name > "b" }))
    end
    local left = {}
    queue:expire(function(one) return one.name == "a" or one.name == "d" end, function(one) left[#left + 1] = one end)
    assert.are.equal("a d", names(left))
    assert.are.equal("b", queue:take_single().name)
    assert.are.equal("c", names(queue:take_batch()))
  end)
end)
