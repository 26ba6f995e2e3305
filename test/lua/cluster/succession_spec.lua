local Succession = require "framegate.cluster.succession"

describe("the succession of two holders of the link", function()
  local now, holder, ran, a, b

  local function new(name)
    return Succession.new {
      is_holder = function() return holder == name end,
      run = function(head, payload) ran[#ran + 1] = name .. head.id .. payload end,
      now = function() return now end,
    }
  end

  before_each(function()
    now, holder, ran, a, b = 100, "a", {}, new "a", new "b"
    a:look()
    now = 101
  end)

  local function both(id)
    for _, each in ipairs { a, b } do
      each:receive({ id = id }, "!")
    end
  end

  it("runs a request in the holder only", function()
    both "1"
    assert.are.same({ "a1!" }, ran)
  end)

  it("goes over with all that the next one has kept, in order, and not immediately", function()
    both "1"
    holder = "b"
    both "2"
    b:look()
    assert.are.same({ "a1!" }, ran)
    now = 101.1
    both "3"
    assert.are.same({ "a1!", "b1!", "b2!", "b3!" }, ran) -- the service drops 1, which was run before
    both "4"
    assert.are.equal("b4!", ran[5])
  end)

  it("keeps no more than a bound", function()
    for i = 1, 20 do
      b:receive({ id = i }, ("x"):rep(1024 * 1024))
    end
    holder = "b"
    b:look()
    now = 102
    b:look()
    assert.are.equal(15, #ran)
    assert.are.equal("b6x", ran[1]:sub(1, 3))
  end)
end)
