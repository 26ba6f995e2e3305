-- One handler: the one of HANDLER_URL, or one that locations name with `set $ws_handler`.
-- Each has its own addresses, queue, lanes and away-state, so one that is down does not delay the events of the others.

local Dispatch = require "framegate.dispatch.dispatch"
local EventQueue = require "framegate.dispatch.event_queue"
local EventMetrics = require "framegate.telemetry.event_metrics"
local HandlerSeries = require "framegate.telemetry.handler_series"
local Http = require "framegate.dispatch.http"
local FastCgi = require "framegate.dispatch.fastcgi"
local Lane = require "framegate.dispatch.lane"
local LanePool = require "framegate.dispatch.lane_pool"
local Peers = require "framegate.dispatch.peers"

---@class Handler
---@field name string for people
---@field peers Peers
---@field queue EventQueue
---@field lanes LanePool
---@field dispatch Dispatch
---@field answered number when a request last ended so, in seconds of the monotonic clock; 0 if never
---@field failed number
local Handler = {}
Handler.__index = Handler

local PROTOCOLS = { http = Http, https = Http, fastcgi = FastCgi }

local function lane_options(self, protocol, options)
  local dispatch, now = self.dispatch, options.now
  return {
    on_answer = function(event, answer)
      self[answer.failure and "failed" or "answered"] = now()
      dispatch:answered(event, answer)
    end,
    on_alone = function(event)
      event.is_alone = true
      dispatch:again(event)
    end,
    on_stream = function(lane, event)
      self.answered = now()
      return dispatch:begin_stream(lane, event)
    end,
    on_unbatch = function(event)
      event.connection:stop_batches()
      dispatch:again(event)
    end,
    on_free = function(lane) dispatch:free(lane) end,
    on_retired = function(lane) dispatch:retire(lane) end,
    peers = self.peers,
    protocol = protocol,
    signer = options.signer,
  }
end

---@class HandlerOptions one table for all handlers of a worker
---@field capacity integer lanes of one handler
---@field streams integer lanes of one handler that carry a stream
---@field config table with HANDLER_WAIT, in seconds
---@field now fun(): number a monotonic clock, in seconds
---@field look_up fun(host: string): string[]?, string? as Resolver.look_up
---@field on_failed fun(peers: Peers) called when a connection failed and names should be looked up again
---@field on_idle fun() called whenever no event of this handler is in flight and none waits
---@field is_leaving fun(): boolean
---@field signer Signer? signs what is sent
---@field tracer Tracer? makes spans of events

---@param facts { name: string, urls: string, targets: UpstreamUrl[] } `urls`: for the log
---@param options HandlerOptions
---@return Handler
function Handler.new(facts, options)
  local protocol, series, tracer = PROTOCOLS[facts.targets[1].scheme], HandlerSeries.claim(facts.name), options.tracer
  local self = setmetatable({ name = facts.name, answered = 0, failed = 0 }, Handler)
  self.peers = Peers.new {
    name = "handler",
    targets = facts.targets,
    look_up = options.look_up,
    now = options.now,
    on_failed = options.on_failed,
  }
  self.queue = EventQueue.new { now = options.now, takes_batches = protocol.TAKES_BATCHES }
  self.lanes = LanePool.new {
    capacity = options.capacity,
    streams = options.streams,
    open_lane = function() return Lane.new(self.lane_options):start() end,
    now = options.now,
  }
  self.dispatch = Dispatch.new {
    lanes = self.lanes,
    queue = self.queue,
    on_idle = options.on_idle,
    is_leaving = options.is_leaving,
    config = options.config,
    urls = facts.urls,
    on_ended = function(event, answer)
      EventMetrics.ended(event, answer, series)
      if tracer then
        tracer:ended(event, answer)
      end
    end,
  }
  self.lane_options = lane_options(self, protocol, options)
  return self
end

---@class HandlerState
---@field name string
---@field lanes { open: integer, busy: integer, streams: integer }
---@field for_lane integer events that wait for a lane
---@field for_retry integer events that wait for their retry
---@field answered number when a request last ended so, in seconds of the monotonic clock; 0 if never
---@field failed number

--- Reads the current state.
---@return HandlerState
function Handler:state()
  local for_lane = self.queue:for_lane()
  return {
    name = self.name,
    lanes = self.lanes:state(),
    for_lane = for_lane,
    for_retry = self.queue:count() - for_lane,
    answered = self.answered,
    failed = self.failed,
  }
end

return Handler
