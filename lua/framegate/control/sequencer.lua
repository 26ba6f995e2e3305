-- The order of items with a `prev-id` (POST /publish): one that comes before its predecessor waits for it, up to 5 s.
-- The ids of the last items are in memory of all workers, so the items may come to different ones. Each node keeps its own:
-- it orders what it is asked to publish.

local Clock = require "framegate.runtime.clock"
local Log = require "framegate.runtime.log"

local Sequencer = {}

local WAIT_SECONDS, STEP_SECONDS = 5, 0.01
local KEPT_SECONDS = 60 -- for which the last id of a channel is known
local MOST_WAITING, MOST = 100, 1000 -- of a channel and of all, in one worker

local seen = ngx.shared.seen
local waiting = {} -- how many items wait, by channel
local total = 0

local function name_of(channel) return "last/" .. channel end

-- Whether the item before this one is still to come. Where no last id is known, nothing can be said.
local function is_early(item)
  local last = item.previous and seen:get(name_of(item.channel))
  return last ~= nil and last ~= item.previous
end

local function send(item, run)
  local counts, err = run()
  if item.id then
    seen:set(name_of(item.channel), item.id, KEPT_SECONDS)
  else
    seen:delete(name_of(item.channel))
  end
  return counts, err
end

local function change(channel, by)
  local count = (waiting[channel] or 0) + by
  waiting[channel], total = count > 0 and count or nil, total + by
end

local function send_later(_, item, run)
  local deadline = Clock.monotonic() + WAIT_SECONDS
  while is_early(item) and Clock.monotonic() < deadline and not ngx.worker.exiting() do
    ngx.sleep(STEP_SECONDS)
  end
  local ok, _, err = xpcall(send, debug.traceback, item, run)
  change(item.channel, -1)
  if not ok or err then
    Log.limited(Log.warn, "sequencer", nil, "an item that has waited for its prev-id did not reach all: ", err or "")
  end
end

--- Publishes an item, now or when the one before it was published.
---@param item PublishItem
---@param run fun(): table, string? publishes it, as Push:to_many
---@return table? counts nil when it is published later
---@return string? err as of Push:to_many
function Sequencer.run(item, run)
  if item.has_no_order then
    return run()
  elseif not is_early(item) or (waiting[item.channel] or 0) >= MOST_WAITING or total >= MOST then
    return send(item, run)
  end
  change(item.channel, 1)
  local ok, err = ngx.timer.at(0, send_later, item, run)
  if not ok then
    change(item.channel, -1)
    Log.limited(Log.warn, "sequencer", nil, "an item cannot wait for its prev-id: ", err)
    return send(item, run)
  end
end

--- Whether an item waits here.
---@return boolean
function Sequencer.is_busy() return total > 0 end

return Sequencer
