-- One kept topic in one worker of a cluster: delivers the frames that come from Redis in the order of their offsets, each once.
-- feed.lua keeps the order. This file finds out where to begin, reads gaps from Redis, and changes to another epoch. And it
-- holds back what comes for a socket that waits for kept frames.

local Clock = require "framegate.runtime.clock"
local Feed = require "framegate.push.feed"
local Topic = require "framegate.push.topic"

---@class SharedFeed
---@field topic string
---@field epoch string? nil until Redis has answered
---@field is_behind boolean? whether reading failed, and is to be tried again
---@field former StreamPlace? the last delivered frame of the epoch before
---@field lost table<string, true> names of places whose frames Redis lost before they were delivered here
local SharedFeed = {}
SharedFeed.__index = SharedFeed

local NOTHING = { delivered = 0, dropped = 0 }
local LOST = { delivered = 0, dropped = 0, is_lost = true } -- NodeService does not answer: the frame comes again
local READ_BYTES = 1024 * 1024

-- Delivers a frame, but notes it for the sockets that wait for frames before it.
local function deliver(self, args, payload)
  for connection, hold in pairs(self.holds) do
    if Topic.has(connection, self.topic) then
      args.skips = args.skips or {}
      args.skips[connection] = true
      hold:note({ epoch = self.epoch, offset = self.feed.last }, args, payload)
    end
  end
  return self.deliver(args, payload)
end

---@param parts { topic: string, read: (fun(wanted: StreamWanted, on_done: fun(reply: StreamReply?))), deliver: (fun(args: table,
--- payload: string): table) } `read` does not yield
---@return SharedFeed
function SharedFeed.new(parts)
  local self = setmetatable({
    topic = parts.topic,
    read = parts.read,
    deliver = parts.deliver,
    fetched = {}, -- frames from Redis that are about to be delivered, by offset
    early = {}, -- frames whose epoch is not known yet
    holds = {}, -- by connection
    floors = setmetatable({}, { __mode = "k" }), -- places in an epoch that is not known here yet, by connection
    lost = {},
  }, SharedFeed)
  self.feed = Feed.new {
    topic = parts.topic,
    id = 0,
    last = 0,
    read = function(_, offset) return self.fetched[offset] end,
    deliver = function(args, payload) return deliver(self, args, payload) end,
    now = Clock.monotonic,
  }
  return self
end

local function has_gap(self) return self.feed.last < self.feed.highest end

local function name_of(place) return place.epoch .. "/" .. place.offset end

-- Gives the feed a frame of its epoch. A repeat is delivered only if its first place was lost.
local function give(self, offset, frame)
  local former = frame.former and name_of(frame.former)
  if former and not self.lost[former] then
    frame = { is_had = true }
  elseif former then
    self.lost[former] = nil
  end
  return self.feed:arrive(offset, frame)
end

-- Whether a frame of an epoch that is over was delivered, or is itself a repeat.
local function is_over(self, entry)
  local former, frame, place = self.former, entry.frame, entry.place
  return frame.former or frame.is_had or former and former.epoch == place.epoch and place.offset <= former.offset
end

local function admit(self, entry)
  local counts = give(self, entry.place.offset, entry.frame)
  if type(counts) == "function" then
    counts(entry.settle)
  else
    entry.settle(counts)
  end
end

-- Gives the feed those frames that came before their epoch was known, and those of an epoch that is over which Redis still has:
-- they keep their offsets. Redis has lost the others, unless they came while it was asked.
local function admit_early(self, asked_at)
  local early = self.early
  self.early = {}
  for i, entry in ipairs(early) do
    if entry.place.epoch == self.epoch or i <= asked_at and entry.place.offset <= self.base then
      admit(self, entry)
    elseif i > asked_at then
      self.early[#self.early + 1] = entry
    elseif is_over(self, entry) then
      entry.settle(NOTHING)
    else
      self.lost[name_of(entry.place)] = true
      entry.settle(LOST)
    end
  end
end

-- Where an epoch begins for this worker. Its subscribers have what was published before Redis was asked, unless it came here
-- meanwhile. In another epoch the frames up to its base have the offsets that they had before.
local function beginning_of(self, reply, asked_at)
  if self.epoch then
    return math.min(self.feed.last, reply.base)
  end
  local last = reply.top
  for i, entry in ipairs(self.early) do
    if entry.place.epoch == reply.epoch or i <= asked_at and entry.place.offset <= reply.base then
      last = math.min(last, entry.place.offset - 1)
    end
  end
  return last
end

-- What waits for frames before it belongs to an epoch that is over now. Returns how many early frames came before Redis was asked.
local function change_epoch(self, reply, asked_at)
  local last, waiting = beginning_of(self, reply, asked_at), self.feed:take_waiting()
  for i, entry in ipairs(waiting) do
    entry.place = { epoch = self.epoch, offset = entry.offset }
    table.insert(self.early, i, entry)
  end
  self.former = self.epoch and { epoch = self.epoch, offset = self.feed.last }
  self.epoch, self.base, self.lost = reply.epoch, reply.base, {}
  self.feed:restart(0, last)
  for connection, place in pairs(self.floors) do
    self.floors[connection] = nil
    if place.epoch == self.epoch then
      self.feed:set_floor(connection, place.offset)
    end
  end
  return asked_at + #waiting
end

-- Delivers what was read. What Redis does not have any more is skipped.
local function use(self, reply)
  local through = reply.top
  for _, frame in ipairs(reply.frames) do
    self.fetched[frame.offset], through = frame, frame.offset
  end
  self.feed:skip_through(through)
  self.fetched = {}
end

local function on_reply(self, reply, asked_at)
  self.is_reading = false
  if self.has_ended then
    return
  elseif not reply then
    self.is_behind = true
    return
  end
  self.is_behind = false
  if reply.epoch == self.epoch then
    use(self, reply)
  else
    asked_at = change_epoch(self, reply, asked_at)
  end
  admit_early(self, asked_at)
  if has_gap(self) or self.feed.last < reply.top or self.early[1] then
    self:catch_up()
  end
end

--- Reads what the store has beyond the last frame, and delivers it. Does not yield.
function SharedFeed:catch_up()
  if self.is_reading then
    return
  end
  self.is_reading = true
  local wanted = { mode = "gap", from = self.feed.last, epoch = self.epoch, max_bytes = READ_BYTES }
  local asked_at = #self.early
  self.read(wanted, function(reply) on_reply(self, reply, asked_at) end)
end

--- Accepts a frame that comes from Redis. Does not yield.
---@param place StreamPlace
---@param frame { payload: string, is_text: boolean, except: string?, replace: string?, former: StreamPlace?, is_had: boolean? }
--- `former`: of a repeat, the place in another epoch that it had when it came first; `is_had`: as of Feed
---@return table counts, or a function that gets a function which accepts them later (see Bus)
function SharedFeed:arrive(place, frame)
  if place.epoch == self.epoch then
    local result = give(self, place.offset, frame)
    if has_gap(self) then
      self:catch_up()
    end
    return result
  end
  local entry = { place = place, frame = frame }
  function entry.settle(counts)
    entry.counts = counts
    if entry.reply then
      entry.reply(counts)
    end
  end
  self.early[#self.early + 1] = entry
  self:catch_up()
  return entry.counts or function(reply) entry.reply = reply end
end

--- Notes frames for a connection instead of delivering them, until `release`.
---@param connection Connection
---@param hold Hold
function SharedFeed:hold(connection, hold)
  hold.last = self.feed:last_of(connection)
  self.holds[connection] = hold
end

--- The place of the last frame that a connection was sent.
---@param connection Connection
---@return StreamPlace? place nil when it has had none, because Redis has not answered
function SharedFeed:place_of(connection)
  local hold = self.holds[connection]
  return self.epoch and { epoch = self.epoch, offset = hold and hold.last or self.feed:last_of(connection) }
end

--- Delivers to a connection again.
---@param connection Connection
function SharedFeed:release(connection) self.holds[connection] = nil end

--- Delivers nothing of an epoch up to an offset to a connection that has had it already.
---@param connection Connection
---@param place StreamPlace
function SharedFeed:set_floor(connection, place)
  if place.epoch == self.epoch then
    self.feed:set_floor(connection, place.offset)
  else
    self.floors[connection] = place
  end
end

--- Ends: nobody subscribes here any more.
function SharedFeed:finish()
  self.has_ended = true
  self.feed:finish()
  for _, entry in ipairs(self.early) do
    entry.settle(NOTHING)
  end
end

return SharedFeed
