local Calls = require "framegate.cluster.calls"

describe("calls", function()
  local calls, done

  before_each(function()
    calls, done = Calls.new(), {}
  end)

  local function begin(...)
    local call = calls:begin(function(call) done[#done + 1] = call.results end)
    for _, peer in ipairs { ... } do
      Calls.expect(call, peer)
    end
    return call
  end

  it("end once, when every peer has answered", function()
    local call = begin("a", "b")
    calls:answer(call.number, "a", { 1 })
    calls:answer(call.number, "a", { 2 })
    calls:answer(call.number, "c", { 3 })
    assert.are.same({}, done)
    calls:answer(call.number, "b", { 4 })
    calls:answer(call.number, "b", { 5 })
    assert.are.same({ { { 1 }, { 4 } } }, done)
    assert.are.same({}, calls.by_number)
  end)

  it("end without a peer that is lost", function()
    local both, one = begin("a", "b"), begin("b")
    calls:lose "b"
    assert.are.same({ {} }, done)
    assert.is_nil(calls.by_number[one.number])
    calls:answer(both.number, "a", { 1 })
    assert.are.same({ {}, { { 1 } } }, done)
  end)

  it("that are dropped do not end, and leave nothing", function()
    local call = begin("a")
    calls:drop(call)
    calls:answer(call.number, "a", { 1 })
    calls:lose "a"
    assert.are.same({}, done)
    assert.are.same({}, calls.by_number)
  end)

  it("without peers end when they are checked", function()
    calls:check(begin())
    assert.are.same({ {} }, done)
  end)
end)
