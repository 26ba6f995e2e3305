-- Slots: a period divides the time since 1970 into them. Each one is claimed at most once, in this node or in the cluster.

local Slots = {}

---@class SlotRequest
---@field name string what happens once a slot
---@field period integer milliseconds
---@field latest integer how long after its beginning a slot may be claimed, in milliseconds

---@class Slot
---@field now integer milliseconds since 1970, by the clock that decides
---@field slot integer the beginning of the slot of that moment, in the same unit
---@field is_claimed boolean whether it is the caller's

local KEPT_MS = 60000 -- besides two periods: for which a claim is known, should the clock be set back

-- KEYS: the beginning of the slot's key. ARGV: period, latest, this node, milliseconds for which the claim is kept.
local CLAIM = [[
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local slot = now - now % ARGV[1]
local is_claimed = now - slot <= tonumber(ARGV[2])
  and redis.call('SET', KEYS[1] .. string.format('%.0f', slot), ARGV[3], 'NX', 'PX', ARGV[4])
return { now, slot, is_claimed and 1 or 0 }
]]

local function kept(request) return 2 * request.period + KEPT_MS end

--- Claims the present slot for this worker among those of this node.
---@param dict table a shared dictionary of ngx_lua
---@param request SlotRequest
---@param now integer milliseconds since 1970
---@return Slot
function Slots.claim_here(dict, request, now)
  local slot = now - now % request.period
  local key = ("timer:%s:%.0f"):format(request.name, slot)
  local is_claimed = now - slot <= request.latest and dict:add(key, true, kept(request) / 1000)
  return { now = now, slot = slot, is_claimed = is_claimed == true }
end

--- Claims the present slot, by the clock of Redis, for this node among those of the cluster. Does not yield.
---@param link { own: string, link: RedisLink, channels: Channels }
---@param request SlotRequest
---@param on_done fun(slot: Slot?) nil while Redis is away; must not yield
function Slots.claim(link, request, on_done)
  local keys = { link.channels:timer(request.name) }
  local args = { request.period, request.latest, link.own, kept(request) }
  local is_sent = link.link:eval(
    CLAIM,
    keys,
    args,
    function(reply) on_done(reply and { now = reply[1], slot = reply[2], is_claimed = reply[3] == 1 } or nil) end
  )
  if not is_sent then
    on_done(nil)
  end
end

return Slots
