-- The link of one worker to Redis: commands and pushes on one connection, which is made again whenever it ends.
-- redis_dial.lua makes a connection, and redis_traffic.lua reads and writes it.

local Clock = require "framegate.runtime.clock"
local Log = require "framegate.runtime.log"
local RedisDial = require "framegate.cluster.redis_dial"
local RedisReports = require "framegate.cluster.redis_reports"
local RedisTraffic = require "framegate.cluster.redis_traffic"
local Threads = require "framegate.runtime.threads"
local semaphore = require "ngx.semaphore"

---@class RedisLink
---@field run_id string? of the Redis to which it was linked last (INFO server)
---@field client_id integer? of the last connection (CLIENT ID)
local RedisLink = {}
RedisLink.__index = RedisLink

local AWAY_SECONDS = 1 -- how long a command may be without an answer
local MIN_PAUSE, MAX_PAUSE = 0.05, 1 -- seconds between two dials
local STEADY_SECONDS = 5 -- a connection that lived this long ends a series of failures

---@class RedisLinkParts
---@field options RedisOptions
---@field prefix string the client's name in CLIENT LIST is framegate-<prefix>
---@field look_up fun(host: string): string[]?, string? as Resolver.look_up
---@field on_push fun(channel: string, payload: string) a message came; must not yield
---@field on_up fun() the link is up, and no command has gone out; must not yield
---@field on_down fun(reason: string) a link that was up has ended, but not by `stop`; all its commands are lost; must not yield

---@param parts RedisLinkParts
---@return RedisLink
function RedisLink.new(parts)
  return setmetatable({
    parts = parts,
    name = "framegate-" .. parts.prefix:gsub("[^!-~]", "-"),
    reports = RedisReports.new(),
    awaited = semaphore.new(), -- by the pause between two dials
    traffic = nil, -- RedisTraffic while it is up
    failures = 0, -- in series
    has_stopped = false,
    counts = {
      connections = 0,
      subscriptions = 0,
      sent_messages = 0,
      received_messages = 0,
      sent_bytes = 0,
      received_bytes = 0,
    },
  }, RedisLink)
end

local function guarded(what, run, ...)
  local ok, failure = xpcall(run, debug.traceback, ...)
  if not ok then
    Log.error(nil, what, " failed: ", failure)
  end
end

-- The commands of a link that is up.
local function commands_of(self) return not self.has_stopped and self.traffic and self.traffic.commands end

--- Queues a command. Does not yield.
--- The callback runs in the thread that reads, and must not yield. It gets the reply, or nil and the error reply
--- (`code`, `message`), or nil and "lost" when the connection ended before a reply came.
---@param callback fun(reply: any, err: RespError|"lost"|nil)?
---@param ... string|number name and arguments
---@return boolean is_queued false when the link is not up; then the callback is not called
function RedisLink:command(callback, ...)
  local commands = commands_of(self)
  return commands and commands:add(callback, { ... }) or false
end

--- Queues a script (EVAL, and EVALSHA once this connection has sent the text). Does not yield.
---@param script string the source; few different ones, because each is kept
---@param keys string[]
---@param args (string|number)[]
---@param callback fun(reply: any, err: RespError|"lost"|nil)? as for `command`
---@return boolean is_queued
function RedisLink:eval(script, keys, args, callback)
  local commands = commands_of(self)
  if not commands then
    return false
  end
  local arguments = { #keys, unpack(keys) }
  for _, value in ipairs(args) do
    arguments[#arguments + 1] = value
  end
  return commands:eval(script, arguments, callback)
end

--- Subscribes to channels. Does not yield. A new connection has no subscriptions: `on_up` has to subscribe again.
---@param channels string[]
---@param callback fun(is_done: true?, err: RespError|"lost"|nil)? called once Redis has confirmed all
---@return boolean is_queued false when the link is not up; then the callback is not called
function RedisLink:subscribe(channels, callback)
  local commands = commands_of(self)
  return commands and commands:in_batches("SUBSCRIBE", channels, callback) or false
end

--- Ends subscriptions. Does not yield.
---@param channels string[]
---@param callback fun(is_done: true?, err: RespError|"lost"|nil)? called once Redis has confirmed all
---@return boolean is_queued
function RedisLink:unsubscribe(channels, callback)
  local commands = commands_of(self)
  return commands and commands:in_batches("UNSUBSCRIBE", channels, callback) or false
end

local function pause_after(failures)
  local pause = math.min(MIN_PAUSE * 2 ^ math.min(failures, 10), MAX_PAUSE)
  local chance = Clock.monotonic() * 1e6 % 1000 / 1000 -- many gateways lose the same Redis at the same time
  return pause * (0.5 + chance / 2)
end

local function serve(self, connection)
  local since = Clock.monotonic()
  self.traffic = RedisTraffic.new {
    connection = connection,
    options = self.parts.options,
    counts = self.counts,
    on_message = self.parts.on_push,
    on_forbidden = function(reason) self.reports:refused(connection.where, reason) end,
  }
  self.run_id, self.client_id, self.reason = connection.run_id, connection.client_id, nil
  self.counts.connections = self.counts.connections + 1
  self.reports:up(connection.where)
  guarded("what follows a link to Redis", self.parts.on_up)
  local reason = self.traffic:run()
  local commands = self.traffic.commands
  self.traffic = nil
  commands:lose()
  if Clock.monotonic() - since >= STEADY_SECONDS then
    self.failures = 0
    self.reports:forget()
  end
  return reason
end

local function fail(self, where, reason)
  self.failures, self.reason = self.failures + 1, reason
  self.reports:down(where, reason)
end

local function dial(self)
  local connection, reason, where =
    RedisDial.open(self.parts.options, { name = self.name, look_up = self.parts.look_up })
  if not connection then
    return fail(self, where, reason)
  elseif self.has_stopped then
    return connection:close()
  end
  reason = serve(self, connection)
  if not self.has_stopped then
    fail(self, connection.where, reason)
    guarded("what follows a lost link to Redis", self.parts.on_down, reason)
  end
end

-- Each dial has a thread of its own, because a thread keeps the memory of every connection that it made.
local function run(_, self)
  guarded("the link to Redis", dial, self)
  self.traffic = nil
  if not self.has_stopped then
    self.awaited:wait(pause_after(self.failures))
  end
  if not self.has_stopped then
    self:start()
  end
end

--- Starts to connect, and connects again until `stop`. Does not yield.
function RedisLink:start()
  Threads.run(run, self, function(_, err)
    Log.warn(nil, "linking to Redis could not begin, and is tried again: ", err)
    self:start()
  end)
end

--- Ends the connection, and makes a new one. Does not yield.
---@param reason string for the log
function RedisLink:break_off(reason)
  if self.traffic then
    self.traffic:break_off(reason)
  end
end

--- Sends what waits, waits up to 1 s for the replies, and ends. `on_down` is not called. Does not yield.
function RedisLink:stop()
  self.has_stopped = true
  self.awaited:post()
  if self.traffic then
    self.traffic:stop()
  end
end

local function waited(self) return self.traffic and self.traffic.commands.requests:waited() or 0 end

--- Whether commands get no answer: the link is down, or a command has waited for more than 1 s.
---@return boolean
function RedisLink:is_away() return not self.traffic or waited(self) > AWAY_SECONDS end

---@class RedisLinkState : RedisCounts
---@field is_up boolean
---@field is_away boolean
---@field reason string? why it is down
---@field away_seconds number how long it has been down, or the oldest command has waited
---@field reconnects integer connections after the first
---@field waiting_bytes integer of commands that are not sent

--- The state and the numbers of the link, since its start.
---@return RedisLinkState
function RedisLink:state()
  local counts, traffic = self.counts, self.traffic
  return {
    is_up = traffic ~= nil,
    is_away = self:is_away(),
    reason = self.reason,
    away_seconds = traffic and waited(self) or self.reports:down_seconds(),
    reconnects = math.max(counts.connections - 1, 0),
    subscriptions = counts.subscriptions,
    sent_messages = counts.sent_messages,
    received_messages = counts.received_messages,
    sent_bytes = counts.sent_bytes,
    received_bytes = counts.received_bytes,
    waiting_bytes = traffic and traffic.commands.waiting_bytes or 0,
  }
end

return RedisLink
