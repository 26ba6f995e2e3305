-- The order of items with a `prev-id` (POST /publish): one that comes before its predecessor waits for it, up to 5 s.
-- All workers and nodes know the last item of a channel (cluster/last_items.lua), so items may come to different ones.

local Clock = require "framegate.runtime.clock"
local LastItems = require "framegate.cluster.last_items"
local Log = require "framegate.runtime.log"
local Threads = require "framegate.runtime.threads"

local Sequencer = {}

local WAIT_SECONDS, STEP_SECONDS = 5, 0.01
local MOST_WAITING, MOST = 100, 1000 -- of a channel and of all, in one worker
local MOST_BYTES = 16 * 1024 * 1024 -- of the payloads and ids of all, in one worker

local waiting = {} -- how many items wait, by channel
local total, bytes = 0, 0 -- of all that wait

local function send(item, run)
  local counts, err = run()
  if item.id then
    LastItems.note(item.channel, item.id, item.previous)
  else
    LastItems.forget(item.channel)
  end
  return counts, err
end

local function size_of(item) return #(item.payload or "") + #(item.id or "") + #item.previous end

local function change(item, by)
  local count = (waiting[item.channel] or 0) + by
  waiting[item.channel], total, bytes = count > 0 and count or nil, total + by, bytes + by * size_of(item)
end

local function send_later(_, entry)
  local item = entry.item
  local deadline = Clock.monotonic() + WAIT_SECONDS
  while LastItems.is_early(item) and Clock.monotonic() < deadline and not ngx.worker.exiting() do
    ngx.sleep(STEP_SECONDS)
  end
  local ok, result, err = xpcall(send, debug.traceback, item, entry.run)
  change(item, -1)
  if not ok then
    Log.error(nil, "publishing an item that has waited for its prev-id failed: ", result)
  elseif err then
    Log.limited(Log.warn, "sequencer", nil, "an item that has waited for its prev-id did not reach all: ", err)
  end
end

local function fail(entry, err)
  change(entry.item, -1)
  Log.error(nil, "an item that waits for its prev-id was not published: ", err)
end

local function has_room(item)
  return (waiting[item.channel] or 0) < MOST_WAITING and total < MOST and bytes + size_of(item) <= MOST_BYTES
end

--- Publishes an item, now or when the one before it was published. If too many wait, it is now.
---@param item PublishItem
---@param run fun(): table, string? publishes it, as Push:to_many
---@return table? counts nil when it is published later
---@return string? err as of Push:to_many
function Sequencer.run(item, run)
  if item.has_no_order then
    return run()
  elseif not LastItems.is_early(item) or not has_room(item) then
    return send(item, run)
  end
  change(item, 1)
  Threads.run(send_later, { item = item, run = run }, fail)
end

--- Whether an item waits here.
---@return boolean
function Sequencer.is_busy() return total > 0 end

return Sequencer
