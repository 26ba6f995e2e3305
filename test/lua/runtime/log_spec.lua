local Stub = require "support.ngx"

describe("the error log", function()
  local Log, lines

  before_each(function()
    Stub.now = 1000
    lines = {}
    package.loaded["framegate.runtime.log"] = nil
    Log = require "framegate.runtime.log"
  end)

  local function log(id, ...) lines[#lines + 1] = (id and id .. ": " or "") .. table.concat { ... } end

  it("has a line of a stranger once a minute", function()
    for _ = 1, 3 do
      Log.limited(log, "origin", "192.0.2.1", "refused ", "x")
      Log.limited(log, "origin", "192.0.2.2", "refused ", "x")
    end
    assert.are.same({ "192.0.2.1: refused x", "192.0.2.2: refused x" }, lines)
    Stub.now = 1061
    Log.limited(log, "origin", "192.0.2.1", "refused ", "x")
    assert.are.equal("192.0.2.1: refused x (4 such lines were left out)", lines[3])
  end)

  it("has 20 lines of a kind a minute", function()
    for i = 1, 1000 do
      Log.limited(log, "origin", nil, i)
    end
    Log.limited(log, "another kind", nil, "line")
    assert.are.equal(21, #lines)
    Stub.now = 1061
    Log.limited(log, "origin", nil, "again")
    Log.limited(log, "origin", nil, "and again")
    assert.are.same({ "again (980 such lines were left out)", "and again" }, { lines[22], lines[23] })
  end)

  it("cuts what a stranger made long", function()
    Log.limited(log, "origin", nil, "refused ", ("x"):rep(3000), "!")
    assert.are.equal("refused " .. ("x"):rep(300) .. "…!", lines[1])
  end)
end)
