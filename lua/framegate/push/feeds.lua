-- The kept topics that this worker has subscribers of: one feed for each.
-- It is also where a subscription with history joins the two: what the store has, then what comes.

local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Feed = require "framegate.push.feed"
local Log = require "framegate.runtime.log"
local Task = require "framegate.runtime.task"

---@class Feeds
local Feeds = {}
Feeds.__index = Feeds

local NOTHING = { delivered = 0, dropped = 0 }
local LOOK_SECONDS = 0.005

---@param worker Worker its history and registry
---@param deliver fun(args: table, payload: string): table sends a message to the subscribers of `args.topic`, without those in
--- `args.skips`
---@return Feeds
function Feeds.new(worker, deliver)
  local self = setmetatable({
    history = worker.history,
    registry = worker.registry,
    deliver = deliver,
    by_topic = {},
  }, Feeds)
  self.looking = Task.new("the order of kept topics", function() self:look_while_stuck() end)
  return self
end

local function watch(self, feed)
  if feed:is_stuck() then
    self.looking:begin()
  end
end

---@private
function Feeds:add(topic)
  local store = self.history.store
  local id = store:find(topic)
  local feed = Feed.new {
    topic = topic,
    id = id or 0,
    last = id and store:settled(id) or 0,
    read = function(number, offset) return store:read(number, offset) end,
    deliver = self.deliver,
    now = Clock.monotonic,
  }
  self.by_topic[topic] = feed
  feed:catch_up(id and store:top(id) or 0) -- hints of frames above a hole may have come already
  watch(self, feed)
end

local function remove(self, topic)
  local feed = self.by_topic[topic]
  if feed then
    self.by_topic[topic] = nil
    feed:finish()
  end
end

--- Takes note that a topic or user has its first connection here, or has lost the last.
---@param group string "topic:<name>" or "user:<name>"
function Feeds:on_group(group)
  local topic = group:match("^topic:(.*)$")
  if not topic or not self.history:rule_of(topic) then
    return
  end
  if self.registry:has_group(group) then
    self:add(topic)
  else
    remove(self, topic)
  end
end

---@private
function Feeds:look_while_stuck()
  local is_stuck
  repeat
    ngx.sleep(LOOK_SECONDS)
    is_stuck = false
    local feeds = {}
    for _, feed in pairs(self.by_topic) do
      feeds[#feeds + 1] = feed
    end
    for _, feed in ipairs(feeds) do
      feed:look()
      is_stuck = is_stuck or feed:is_stuck()
    end
  until not is_stuck
end

-- The feed that a place belongs to. Histories of another zone or of an earlier life of the topic have none.
local function feed_of(self, topic, place)
  local feed = self.by_topic[topic]
  if not feed or place.epoch ~= self.history.store:epoch() or place.id < feed.id then
    return nil
  end
  if place.id > feed.id then
    feed:restart(place.id)
  end
  return feed
end

--- Accepts a frame that was stored. Does not yield.
---@param args { topic: string, place: Place, is_text: boolean, except: string?, replace: string? }
---@param payload string
---@return table counts, or a function that gets a function which accepts them later (see Bus)
function Feeds:arrive(args, payload)
  if not self.registry:topic(args.topic) then
    return NOTHING
  end
  local feed = feed_of(self, args.topic, args.place)
  if not feed then
    return self.deliver(args, payload)
  end
  local frame = { payload = payload, is_text = args.is_text, except = args.except, replace = args.replace }
  local result = feed:arrive(args.place.offset, frame)
  watch(self, feed)
  return result
end

-- Brings the subscribers that are there already to where the store is, so that a new one can begin at the same place.
local function catch_up(self, topic)
  local feed, store = self.by_topic[topic], self.history.store
  local id = feed and store:find(topic)
  if not id then
    return
  elseif id > feed.id then
    feed:restart(id)
  end
  feed:catch_up(store:top(id) or 0)
  watch(self, feed)
end

--- Sends kept frames to a connection.
---@param connection Connection
---@param frames KeptFrame[]
function Feeds.send(connection, frames)
  for _, frame in ipairs(frames) do
    if frame.except ~= connection.id then
      connection:send(frame.payload, frame.is_text)
    end
  end
end

-- Reads what a subscription asks for, up to where the live frames begin. Half of the outbox is left to those.
local function read(self, feed, wanted, waiting)
  local limits = { through = feed.last, max_bytes = Config.OUTBOX_BYTES / 2 - waiting }
  local frames = self.history:read(wanted.topic, wanted, limits)
  if not frames and wanted.otherwise == "last" then
    frames = self.history:read(wanted.topic, { last = wanted.last or feed.last }, limits)
  end
  return frames
end

local function gone(wanted) return wanted.otherwise ~= "none" and "gone" or nil end

--- Reports a subscription that asks for frames of a topic that is not kept.
---@param connection Connection
---@param wanted Wanted
---@return "gone"|nil why as for `subscribe`
function Feeds.not_kept(connection, wanted)
  Log.limited(
    Log.warn,
    "history",
    connection.id,
    "a subscription asks for frames of a topic that HISTORY does not keep"
  )
  return wanted.after and gone(wanted) or nil
end

local function replay(self, connection, wanted)
  local feed = self.by_topic[wanted.topic]
  if not feed then
    return Feeds.not_kept(connection, wanted)
  end
  local frames = read(self, feed, wanted, connection.outbox.bytes)
  if not frames then
    return gone(wanted)
  end
  Feeds.send(connection, frames)
  local after = wanted.after and self.history:offset_of(wanted.after, feed.id)
  if after then
    feed:set_floor(connection, after)
  end
end

--- The position of the last frame of a topic that a connection was sent.
---@param connection Connection
---@param topic string
---@return string? position empty when nothing was published to it so far; nil when it is not kept
function Feeds:position_of(connection, topic)
  local feed = self.by_topic[topic]
  if not feed then
    return nil
  end
  local offset = feed:last_of(connection)
  return offset > 0 and self.history:position(feed.id, offset) or ""
end

---@class Wanted
---@field topic string
---@field last integer? how many of the kept frames
---@field after string? a position: everything behind it
---@field otherwise "last"|"none"|nil what to do when that cannot be given whole
---@field is_patient boolean? whether it waits while Redis is away

--- Subscribes a connection to a topic, and sends it the kept frames that it asks for. Does not yield.
---@param connection Connection
---@param wanted Wanted
---@param on_done fun(ok: boolean?, err: string?, why: "gone"|"unreachable"|nil) called before this returns, but with
--- SharedFeeds later. `err`: the connection has MAX_TOPICS topics already; `why`: it is subscribed but got no frames, because not
--- everything after its position is kept and nobody chose what to do then, or because Redis is away
function Feeds:subscribe(connection, wanted, on_done)
  catch_up(self, wanted.topic)
  local ok, err = self.registry:subscribe(connection, wanted.topic)
  if not ok then
    return on_done(nil, err)
  end
  on_done(true, nil, replay(self, connection, wanted))
end

return Feeds
