local Stub = require "support.ngx"
require "support.event_loop"

describe("a push", function()
  local saved, Push, asked, told, results

  before_each(function()
    saved = {}
    for _, name in ipairs { "telemetry.counters", "push.push" } do
      saved[name] = package.loaded["framegate." .. name] or false
      package.loaded["framegate." .. name] = nil
    end
    package.loaded["framegate.telemetry.counters"] = {
      place = function() return {} end,
      count = function() end,
    }
    Push = require "framegate.push.push"
    asked, told, results = {}, {}, {}
    Stub.now = 0
  end)

  after_each(function()
    for name, module in pairs(saved) do
      package.loaded["framegate." .. name] = module or nil
    end
  end)

  local function push()
    return Push.new {
      node = "node",
      bus = {
        call = function(_, ...)
          asked[#asked + 1] = { ... }
          return unpack(results)
        end,
        call_all = function(_, ...)
          asked[#asked + 1] = { ... }
          return results
        end,
        tell_all = function(_, ...) told[#told + 1] = { ... } end,
      },
    }
  end

  it("to a connection asks the worker whose name is in its id", function()
    results = { { delivered = 1, dropped = 0 } }
    assert.are.same({ delivered = 1, dropped = 0 }, push():send("nodeworker-rest", "hi", true))
    assert.are.same({ { "worker", "send", { id = "nodeworker-rest", is_text = true }, "hi" } }, asked)
  end)

  it("to a connection of another node, or one that is gone, reaches nobody", function()
    local counts, err = push():send("otherworker-rest", "hi", true)
    assert.is_nil(counts)
    assert.are.equal("gone", err)
    assert.are.same({}, asked)
    results = { { gone = true } }
    assert.are.equal("gone", select(2, push():send("nodeworker-rest", "hi", true)))
    results = { nil, "timeout" }
    assert.are.equal("timeout", select(2, push():send("nodeworker-rest", "hi", true)))
  end)

  it("to many gives the sum over all workers", function()
    results = { { delivered = 2, dropped = 1 }, { delivered = 3, dropped = 0 } }
    local counts = push():to_many("publish", { topic = "news" }, "hi", false)
    assert.are.same({ delivered = 5, dropped = 1 }, counts)
    assert.are.same({ { "publish", { topic = "news", is_text = false }, "hi" } }, asked)
  end)

  it("of an answer waits for nobody, and leaves out its own socket when it says so", function()
    push():publish_effect({ topic = "news", payload = "hi", is_text = true, except_self = true }, "id")
    push():publish_effect({ topic = "news", payload = "hi", is_text = true }, "id")
    assert.are.same({
      { "publish", { topic = "news", except = "id", is_text = true }, "hi" },
      { "publish", { topic = "news", is_text = true }, "hi" },
    }, told)
  end)
end)
