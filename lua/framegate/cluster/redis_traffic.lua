-- Reads and writes one connection to Redis, until it ends.
-- One light thread reads and one writes. What is queued in one turn of the worker leaves in one write.

local Clock = require "framegate.runtime.clock"
local Log = require "framegate.runtime.log"
local RedisCommands = require "framegate.cluster.redis_commands"
local RedisFailure = require "framegate.cluster.redis_failure"
local Resp = require "framegate.cluster.resp"
local semaphore = require "ngx.semaphore"

local spawn, kill = ngx.thread.spawn, ngx.thread.kill

---@class RedisTraffic
---@field commands RedisCommands
local RedisTraffic = {}
RedisTraffic.__index = RedisTraffic

local POLL_MS = 250 -- how often the reader checks the oldest command
local BROKEN_SECONDS = 2 -- how long a command may be without an answer
local LATE_SECONDS = 0.5 -- a check that is later than this: this process stood still, not Redis
local STOP_SECONDS = 1 -- how long a stop waits for the last replies

---@class RedisCounts
---@field subscriptions integer channels that this connection is subscribed to
---@field sent_messages integer commands
---@field received_messages integer messages of channels
---@field sent_bytes integer
---@field received_bytes integer

local function wake(self)
  if self.awaited:count() < 0 then
    self.awaited:post()
  end
end

---@param parts { connection: RedisConnection, options: RedisOptions, counts: RedisCounts,
---  on_message: fun(channel: string, payload: string), on_forbidden: fun(reason: string) }
---@return RedisTraffic
function RedisTraffic.new(parts)
  local self = setmetatable({
    connection = parts.connection,
    options = parts.options,
    counts = parts.counts,
    on_message = parts.on_message,
    on_forbidden = parts.on_forbidden,
    awaited = semaphore.new(), -- by the writer
    is_stopping = false,
  }, RedisTraffic)
  self.counts.subscriptions = 0
  self.commands = RedisCommands.new(function()
    self.counts.sent_messages = self.counts.sent_messages + 1
    wake(self)
  end)
  return self
end

local function on_push(self, push)
  local counts, kind = self.counts, push[1]
  if kind == "message" then
    counts.received_messages = counts.received_messages + 1
    local ok, failure = xpcall(self.on_message, debug.traceback, push[2], push[3])
    if not ok then
      Log.error(nil, "using a message of Redis failed: ", failure)
    end
  elseif kind == "subscribe" or kind == "unsubscribe" then
    counts.subscriptions = push[3]
    self.commands.requests:confirm()
  end
end

-- Returns why the connection has to end.
local function on_reply(self, reply)
  if not self.commands.requests:answer(reply) then
    return "it sent a reply that nobody asked for: use a Redis that is not changed by a proxy"
  elseif Resp.is_error(reply) and RedisFailure.is_forbidden(reply) then
    self.on_forbidden(RedisFailure.forbidden(reply, self.options))
  elseif Resp.is_error(reply) and reply.code == "READONLY" then
    return RedisFailure.refused(reply, self.options)
  end
end

local function on_bytes(self, bytes)
  self.counts.received_bytes = self.counts.received_bytes + #bytes
  self.connection.parser:feed(bytes)
  while true do
    local value, kind, broken = self.connection.parser:next()
    local reason
    if kind == "push" then
      on_push(self, value)
    elseif kind == "reply" then
      reason = on_reply(self, value)
    else
      return broken and "it sent " .. broken .. ", which is not RESP3"
    end
    if reason then
      return reason
    end
  end
end

-- The check of a process that stood still comes late. What Redis has answered meanwhile is read first.
local function is_overdue(self)
  local now = Clock.monotonic()
  local is_late = now - self.checked_at > POLL_MS / 1000 + LATE_SECONDS
  self.checked_at = now
  return not is_late and self.commands.requests:waited() > BROKEN_SECONDS
end

local function read(self)
  self.checked_at = Clock.monotonic()
  while true do
    local bytes, err = self.connection:read(POLL_MS)
    local reason
    if bytes then
      reason = on_bytes(self, bytes)
    elseif err ~= "timeout" then
      reason = ("the connection ended (%s): if this repeats, see the log of Redis"):format(err)
    end
    if not reason and is_overdue(self) then
      reason = ("no answer to a command within %d s: check that Redis is not stopped or overloaded"):format(
        BROKEN_SECONDS
      )
    end
    if reason then
      return reason
    end
  end
end

local function await_last_replies(self)
  local deadline = Clock.monotonic() + STOP_SECONDS
  while not self.commands.requests:is_empty() and Clock.monotonic() < deadline do
    ngx.sleep(0.01)
  end
end

local function write(self)
  while true do
    local pieces, bytes = self.commands:take()
    if pieces then
      local ok, err = self.connection.socket:send(pieces)
      if not ok then
        return ("the connection ended while sending (%s): if this repeats, see the log of Redis"):format(err)
      end
      self.commands:sent(bytes)
      self.counts.sent_bytes = self.counts.sent_bytes + bytes
    elseif self.broken then
      return self.broken
    elseif self.is_stopping then
      await_last_replies(self)
      return "stopped"
    else
      self.awaited:wait(3600)
    end
  end
end

-- A fault of the code ends the connection, not the link.
local function threads(self)
  local function caught(run)
    return spawn(function()
      local ok, reason = xpcall(run, debug.traceback, self)
      return ok and reason or "a fault of the gateway: " .. reason
    end)
  end
  return caught(read), caught(write)
end

--- Reads and writes until the connection ends. Then all commands without an answer are lost. Yields.
---@return string reason
function RedisTraffic:run()
  local reader, writer = threads(self)
  local _, reason = ngx.thread.wait(reader, writer)
  kill(reader) -- before the socket is closed: ngx_lua refuses while it is read
  kill(writer)
  self.connection:close()
  self.counts.subscriptions = 0
  return reason
end

--- Ends the connection as soon as what waits is sent, because it is not what it should be.
---@param reason string
function RedisTraffic:break_off(reason)
  self.broken = reason
  wake(self)
end

--- Sends what waits, waits up to 1 s for the replies, and ends.
function RedisTraffic:stop()
  self.is_stopping = true
  wake(self)
end

return RedisTraffic
