require "support.ngx"

describe("the counters of a link to Redis", function()
  local saved, counted, ClusterMetrics

  before_each(function()
    saved = {}
    for _, name in ipairs { "telemetry.counters", "telemetry.cluster_metrics" } do
      saved[name] = package.loaded["framegate." .. name] or false
      package.loaded["framegate." .. name] = nil
    end
    counted = {}
    package.loaded["framegate.telemetry.counters"] = {
      place = function(name)
        if name:find "redis_reconnects" then
          return name
        end
        return { ["in"] = name .. ":in", out = name .. ":out" }
      end,
      count = function(place, amount) counted[place] = (counted[place] or 0) + amount end,
    }
    ClusterMetrics = require "framegate.telemetry.cluster_metrics"
  end)

  after_each(function()
    for name, module in pairs(saved) do
      package.loaded["framegate." .. name] = module or nil
    end
  end)

  local function state(reconnects, messages, bytes)
    return {
      reconnects = reconnects,
      received_messages = messages,
      sent_messages = messages + 1,
      received_bytes = bytes,
      sent_bytes = bytes + 1,
    }
  end

  it("are those of all links, each counted once", function()
    local first, second = ClusterMetrics.of_link(), ClusterMetrics.of_link()
    first(state(0, 10, 100))
    first(state(1, 12, 150))
    first(state(1, 12, 150))
    second(state(0, 5, 50))
    assert.are.same({
      framegate_redis_reconnects_total = 1,
      ["framegate_redis_messages_total:in"] = 17,
      ["framegate_redis_messages_total:out"] = 19,
      ["framegate_redis_bytes_total:in"] = 200,
      ["framegate_redis_bytes_total:out"] = 202,
    }, counted)
  end)
end)
