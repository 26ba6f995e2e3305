local Stub = require "support.ngx"
require "support.event_loop"
local cjson = require "cjson.safe"
rawset(ngx.shared, "sessions", require("support.dictionary").new())
local Counters = require "framegate.telemetry.counters"
local Tracer = require "framegate.telemetry.tracer"

describe("a push with traces", function()
  local Push, TracedPush, push, spans

  before_each(function()
    Stub.now, spans = 1000, {}
    stub(Counters, "count")
    Push = require "framegate.push.push"
    TracedPush = require "framegate.push.traced_push"
    stub(Push, "to_many").returns { delivered = 2, dropped = 1 }
    local tracer = Tracer.new { ratio = 1, export = function(span) spans[#spans + 1] = cjson.decode(span:encode()) end }
    push = TracedPush.new({}, tracer)
  end)

  after_each(function()
    Push.to_many:revert()
    Counters.count:revert()
  end)

  it("has a span, whatever its operation", function()
    for op, kind in pairs(Push.KINDS) do
      assert.are.same({ delivered = 2, dropped = 1 }, (push:to_many(op, { topic = "news" }, { payload = "" })), op)
      assert.are.equal("push " .. kind, spans[#spans].name)
    end
    for _, op in ipairs { "publish", "close_topic", "refresh_topic" } do
      assert.are.equal("topic", Push.KINDS[op])
    end
  end)
end)
