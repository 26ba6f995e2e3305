-- The kept topics of a cluster that this worker has subscribers of: one feed for each.
-- It has the functions of feeds.lua. A subscription with history waits here: first until Redis has confirmed the topic, then for
-- what Redis has kept. So everything that is published after it was read comes live.

local Config = require "framegate.config"
local Feeds = require "framegate.push.feeds"
local Hold = require "framegate.push.hold"
local Position = require "framegate.push.position"
local SharedFeed = require "framegate.push.shared_feed"
local Task = require "framegate.runtime.task"
local Topic = require "framegate.push.topic"

---@class SharedFeeds
local SharedFeeds = {}
SharedFeeds.__index = SharedFeeds

local LOOK_SECONDS = 0.05
local TURN = 100 -- topics that are read in one look, or one while Redis is away

---@param worker Worker its history, registry and groups
---@param deliver fun(args: table, payload: string): table sends a message to the subscribers of `args.topic`, without those in
--- `args.skips`
---@param deliver_one fun(connection: Connection, args: table, payload: string)
---@return SharedFeeds
function SharedFeeds.new(worker, deliver, deliver_one)
  local self = setmetatable({
    history = worker.history,
    registry = worker.registry,
    groups = worker.groups,
    deliver = deliver,
    deliver_one = deliver_one,
    by_topic = {},
    patient = {}, -- reads of subscriptions that wait while Redis is away
  }, SharedFeeds)
  self.looking = Task.new("reading kept topics", function() self:look_while_behind() end)
  return self
end

-- A topic that cannot be read is read again later.
local function read(self, topic, wanted, on_done)
  self.history:ask(topic, wanted, function(reply)
    on_done(reply)
    self.is_away = not reply
    if not reply then
      self.looking:begin()
    end
  end)
end

---@private
function SharedFeeds:add(topic)
  local feed = SharedFeed.new {
    topic = topic,
    read = function(wanted, on_done) read(self, topic, wanted, on_done) end,
    deliver = self.deliver,
  }
  self.by_topic[topic] = feed
  self.groups:when_known(function() feed:catch_up() end)
end

SharedFeeds.on_group = Feeds.on_group

---@private
function SharedFeeds:look_while_behind()
  local behind
  repeat
    ngx.sleep(LOOK_SECONDS)
    behind = {}
    for _, feed in pairs(self.by_topic) do
      behind[#behind + 1] = feed.is_behind and feed or nil
    end
    for i = 1, math.min(#behind, self.is_away and 1 or TURN) do
      behind[i]:catch_up()
    end
    local patient = self.patient
    self.patient = {}
    for _, read_again in ipairs(patient) do
      read_again()
    end
  until #behind == 0 and #self.patient == 0
end

--- Reads what this worker may have missed, because there is a new link to Redis. Does not yield.
function SharedFeeds:resume()
  for _, feed in pairs(self.by_topic) do
    feed.is_behind = true
  end
  self.looking:begin()
end

local function frame_of(args, payload)
  return {
    payload = payload,
    is_text = args.is_text,
    except = args.except,
    replace = args.replace,
    former = args.former,
  }
end

--- Accepts a frame that comes from Redis. One that another kind of history has stored is delivered as it comes. Does not yield.
---@param args { topic: string, place: StreamPlace, former: StreamPlace?, is_text: boolean, except: string?, replace: string? }
---@param payload string
---@return table counts, or a function that gets a function which accepts them later (see Bus)
function SharedFeeds:arrive(args, payload)
  local feed = not args.place.id and self.by_topic[args.topic]
  if not feed then
    return self.deliver(args, payload)
  end
  return feed:arrive(args.place, frame_of(args, payload))
end

--- Accepts a frame that has come before, with the place `former`. It is delivered only where Redis lost it before. Does not yield.
---@param args { topic: string, place: StreamPlace, former: StreamPlace?, is_text: boolean, except: string?, replace: string? }
---@param payload string
function SharedFeeds:accept_again(args, payload)
  local feed = self.by_topic[args.topic]
  if feed then
    -- A worker of an earlier release does not send `former`.
    feed:arrive(args.place, args.former and frame_of(args, payload) or { is_had = true })
  end
end

-- Sends what was read, then what came meanwhile. The subscription may be over.
local function finish(self, entry, reply)
  local connection, feed = entry.connection, entry.feed
  local frames = reply and reply.frames
  feed:release(connection)
  local is_over = self.by_topic[feed.topic] ~= feed or not Topic.has(connection, feed.topic)
  if is_over or connection.outbox.is_closed then
    return entry.on_done(true)
  end
  local floor = frames and { epoch = reply.epoch, offset = reply.top }
  if floor then
    Feeds.send(connection, frames)
    feed:set_floor(connection, floor)
  end
  entry.hold:each_behind(floor, function(args, payload) self.deliver_one(connection, args, payload) end)
  local chose_none = entry.wanted.otherwise == "none"
  entry.on_done(true, nil, not frames and not chose_none and (reply and "gone" or "unreachable") or nil)
end

-- Reads what a subscription asks for. Half of the outbox is left to live frames.
local function read_wanted(self, connection, wanted, on_done)
  local max_bytes = Config.OUTBOX_BYTES / 2 - connection.outbox.bytes
  self.history:ask_all(wanted.topic, self.history:wanted_of(wanted, max_bytes), function(reply)
    if not reply or reply.frames or wanted.otherwise ~= "last" then
      return on_done(reply)
    end
    local last = { last = wanted.last or self.history:rule_of(wanted.topic).frames }
    self.history:ask_all(wanted.topic, self.history:wanted_of(last, max_bytes), on_done)
  end)
end

--- The position of the last frame of a topic that a connection was sent.
---@param connection Connection
---@param topic string
---@return string? position nil when it is not kept, or the connection has only just subscribed
function SharedFeeds:position_of(connection, topic)
  local feed = self.by_topic[topic]
  local hold = feed and feed.holds[connection]
  if hold and hold.after then
    return hold.after -- what it asked for is not read yet
  end
  local place = feed and feed:place_of(connection)
  return place and Position.encode(place)
end

-- Whether a subscription goes on waiting, because Redis is away. It reads again when the others do.
local function waits_on(self, entry, read_again)
  local is_waiting = entry.wanted.is_patient and not entry.connection.outbox.is_closed
  if is_waiting then
    self.patient[#self.patient + 1] = read_again
    self.looking:begin()
  end
  return is_waiting
end

-- Two subscriptions of one connection to one topic take turns.
local function begin(self, entry)
  local connection, wanted, feed = entry.connection, entry.wanted, entry.feed
  local before = feed.holds[connection]
  if before then
    before.waiting = before.waiting or {}
    table.insert(before.waiting, entry)
    return
  end
  entry.hold = Hold.new(Config.OUTBOX_BYTES, wanted.after)
  feed:hold(connection, entry.hold)
  local function read_held()
    read_wanted(self, connection, wanted, function(reply)
      if not reply and waits_on(self, entry, read_held) then
        return
      end
      finish(self, entry, reply)
      for _, waiting in ipairs(entry.hold.waiting or {}) do
        begin(self, waiting)
      end
    end)
  end
  self.groups:when_known(read_held)
end

--- Subscribes a connection to a topic, and sends it the kept frames that it asks for. Does not yield.
---@param connection Connection
---@param wanted Wanted
---@param on_done fun(ok: boolean?, err: string?, why: "gone"|"unreachable"|nil) as for Feeds:subscribe; must not yield
function SharedFeeds:subscribe(connection, wanted, on_done)
  local ok, err = self.registry:subscribe(connection, wanted.topic)
  local feed = self.by_topic[wanted.topic]
  if not ok then
    return on_done(nil, err)
  elseif not feed then
    return on_done(true, nil, Feeds.not_kept(connection, wanted))
  end
  begin(self, { connection = connection, wanted = wanted, feed = feed, on_done = on_done })
end

return SharedFeeds
