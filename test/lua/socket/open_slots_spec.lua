local OpenSlots = require "framegate.socket.open_slots"

describe("slots for open events", function()
  local slots, granted

  before_each(function()
    slots, granted = OpenSlots.new(8), {}
  end)

  local function handshake(network)
    return { network = network, slot_granted = function() granted[#granted + 1] = network end }
  end

  local function ask(network, count)
    local all, with_slot = {}, 0
    for i = 1, count do
      all[i] = handshake(network)
      with_slot = with_slot + (slots:ask(all[i]) and 1 or 0)
    end
    return all, with_slot
  end

  it("are not all held by one address, nor by many that hold as many as they may", function()
    local _, held = ask("a", 20)
    assert.are.equal(6, held)
    local _, held_by_b = ask("b", 20)
    assert.are.equal(2, held_by_b)
    slots = OpenSlots.new(128)
    for _, expected in ipairs { 96, 24, 6, 2 } do
      local _, count = ask(tostring(expected), 200)
      assert.are.equal(expected, count)
    end
  end)

  it("go to the address that waits longest, and in an address to the handshake that does", function()
    local a = ask("a", 7)
    ask("b", 2)
    local b, c, d = handshake "b", handshake "c", handshake "d"
    for _, each in ipairs { b, c, d } do
      assert.is_false(slots:ask(each))
    end
    slots:leave(a[1])
    assert.are.same({ "b" }, granted)
    slots:leave(c)
    slots:leave(a[2])
    assert.are.same({ "b", "d" }, granted)
    assert.is_true(d.has_slot)
    assert.is_nil(c.has_slot)
    for i = 3, 6 do
      slots:leave(a[i])
    end
    assert.is_true(a[7].has_slot)
  end)

  it("are all free again when everybody has left, and no address is remembered", function()
    local a, b = ask("a", 20), ask("b", 20)
    for i = 20, 1, -1 do
      slots:leave(a[i])
      slots:leave(b[i])
      slots:leave(b[i])
    end
    assert.are.equal(8, slots.free)
    assert.are.same({}, slots.addresses)
    assert.is_nil(slots.turns.first)
  end)
end)
