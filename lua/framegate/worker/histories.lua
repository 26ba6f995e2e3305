-- Gives a worker what it needs of kept topics: those of this gateway alone, or those of a cluster. And sweeps the former.

local Config = require "framegate.config"
local Delivery = require "framegate.worker.delivery"
local Feeds = require "framegate.push.feeds"
local History = require "framegate.push.history"
local HistorySweep = require "framegate.push.history_sweep"
local Log = require "framegate.runtime.log"
local SharedFeeds = require "framegate.push.shared_feeds"
local SharedHistory = require "framegate.push.shared_history"
local Task = require "framegate.runtime.task"
local semaphore = require "ngx.semaphore"

local Histories = {}

local SWEEP_SECONDS = 5 -- between two rounds, which is far more than a worker needs for a frame

local stopped = semaphore.new()
local has_stopped = false

--- Makes the histories of this gateway. Runs in the master, before workers start.
---@return History
function Histories.init() return History.init() end

--- Adds `feeds`, and in a cluster the `history` in Redis.
---@param worker Worker with registry, nodes and groups
function Histories.add(worker)
  local function deliver(args, payload) return Delivery.to_subscribers(worker.registry, args, payload) end
  if Config.REDIS_URL == "" then
    worker.feeds = Feeds.new(worker, deliver)
    return
  end
  worker.history = SharedHistory.new { rules = Config.HISTORY, nodes = worker.nodes, wait = Config.CLUSTER_WAIT }
  worker.feeds = SharedFeeds.new(worker, deliver, Delivery.to_one)
end

local function run(worker, sweep)
  while not has_stopped and worker.members:is_last_configuration() do
    local ok, err = xpcall(sweep.round, debug.traceback, sweep)
    if not ok then
      Log.error(nil, "sweeping the histories failed: ", err)
    end
    stopped:wait(SWEEP_SECONDS)
  end
end

--- Begins to sweep the histories of this gateway, if it keeps any. One of its workers does it.
---@param worker Worker
function Histories.start(worker)
  local history = worker.history
  if not history.store then
    return
  end
  local sweep = HistorySweep.new {
    store = history.store,
    rule_of = history.rule,
    worker = worker.members:worker(),
    pause = function() ngx.sleep(0) end,
  }
  worker.bus:watch(function() sweep:recount_all() end)
  Task.new("sweeping the histories", function() run(worker, sweep) end):begin()
end

--- Ends the thread that waits, which would keep alive a worker that is shutting down.
function Histories.stop()
  has_stopped = true
  stopped:post()
end

return Histories
