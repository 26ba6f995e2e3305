local HistoryRules = require "framegate.configure.history_rules"
local Variables = require "framegate.configure.variables"

describe("HISTORY", function()
  it(
    "lists prefixes, the longest first",
    function()
      assert.are.same({
        { prefix = "chat:vip=", frames = 5, seconds = 90 },
        { prefix = "chat:", frames = 100, seconds = 600 },
        { prefix = "", frames = 1, seconds = 86400 },
      }, HistoryRules.parse "=1/24h, chat:=100/10m chat:vip==5/1.5m")
    end
  )

  it("is refused beside REDIS_URL, because nodes do not share a history", function()
    local values = { HISTORY = "a=1/1m", REDIS_URL = "redis://h" }
    local settings, problems = Variables.read(function(name) return values[name] end, "/run")
    assert.is_nil(settings)
    assert.are.same(
      { "HISTORY=…: expected no REDIS_URL beside it: histories are kept by one gateway alone" },
      problems
    )
  end)
end)
