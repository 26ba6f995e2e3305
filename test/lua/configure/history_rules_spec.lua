local HistoryRules = require "framegate.configure.history_rules"

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
end)
