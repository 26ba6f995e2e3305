-- The claim on the sockets of an earlier life of this machine, whose journal is here. Other nodes may have buried it, and then
-- they send its close events. In the worker that holds the link.

local Channels = require "framegate.cluster.channels"

---@class Claim
local Claim = {}
Claim.__index = Claim

-- For a node whose journal this machine has: it is known to be dead, or it left and nobody has cleaned up after it yet.
-- KEYS: its lease, its mark, all nodes, all graves, its records. ARGV: it, seconds.
-- "new" is the first claim, "ours" a repeat by this machine.
local CLAIM = [[
local mark = redis.call('GET', KEYS[2])
if mark and not (mark == 'left' and redis.call('HGET', KEYS[4], ARGV[1]) == '') then
  return mark == 'journal' and 'ours' or 'buried'
end
redis.call('SET', KEYS[2], 'journal', 'EX', ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('DEL', KEYS[1], KEYS[5])
return 'new'
]]

---@param parts { link: RedisLink, channels: Channels, roster: Roster, announce: fun(event: string, node: string) }
---@return Claim
function Claim.new(parts)
  return setmetatable({
    link = parts.link,
    channels = parts.channels,
    roster = parts.roster,
    announce = parts.announce,
  }, Claim)
end

--- Claims the sockets of a node. Does not yield.
---@param node string
---@param on_done fun(answer: "ours"|"buried"|nil) called once, with nil when Redis is away; must not yield
function Claim:ask(node, on_done)
  local channels = self.channels
  local keys = { channels:lease(node), channels:buried(node), channels.nodes, channels.graves, channels:records(node) }
  local is_sent = self.link:eval(CLAIM, keys, { node, Channels.BURIED_SECONDS }, function(answer)
    if answer ~= "new" then
      return on_done(answer)
    end
    self.roster:remove(node)
    self.announce("buried", node)
    on_done "ours"
  end)
  if not is_sent then
    on_done(nil)
  end
end

return Claim
