-- The commands that wait to be sent over one connection to Redis, and those that wait for an answer.

local RedisRequests = require "framegate.cluster.redis_requests"
local Resp = require "framegate.cluster.resp"

---@class RedisCommands
---@field requests RedisRequests
---@field waiting_bytes integer not yet given to the kernel
---@field is_open boolean whether commands are accepted
local RedisCommands = {}
RedisCommands.__index = RedisCommands

local BATCH = 512 -- channels of one SUBSCRIBE

--- Makes the commands of one connection.
---@param on_queued fun(bytes: integer) called for each command; must not yield
---@return RedisCommands
function RedisCommands.new(on_queued)
  return setmetatable({
    on_queued = on_queued,
    requests = RedisRequests.new(),
    pieces = {},
    count = 0,
    waiting_bytes = 0,
    known_scripts = {}, -- by SHA-1: they went out over this connection
    is_open = true,
  }, RedisCommands)
end

local function queue(self, command, callback, confirmations)
  if not self.is_open then
    return false
  end
  local bytes
  self.requests:add(callback, confirmations)
  self.count, bytes = Resp.append(self.pieces, self.count, command)
  self.waiting_bytes = self.waiting_bytes + bytes
  self.on_queued(bytes)
  return true
end

--- Queues a command.
---@param callback fun(reply: any, err: RespError|"lost"|nil)?
---@param command (string|number)[] name and arguments
---@return boolean is_queued
function RedisCommands:add(callback, command) return queue(self, command, callback) end

local digests = {}

local function hex(character) return ("%02x"):format(character:byte()) end

local function digest_of(script)
  digests[script] = digests[script] or (ngx.sha1_bin(script):gsub(".", hex))
  return digests[script]
end

-- The first use on a connection sends the text. EVALSHA and EVAL after NOSCRIPT would let later scripts overtake.
local function eval(self, script, arguments, callback)
  local digest = digest_of(script)
  local is_known = self.known_scripts[digest]
  self.known_scripts[digest] = true
  local command = { is_known and "EVALSHA" or "EVAL", is_known and digest or script, unpack(arguments) }
  return queue(self, command, function(reply, err)
    if err and not is_known then
      self.known_scripts[digest] = nil
    elseif err and err.code == "NOSCRIPT" then -- SCRIPT FLUSH
      self.known_scripts[digest] = nil
      if eval(self, script, arguments, callback) then
        return
      end
      err = "lost"
    end
    if callback then
      return callback(reply, err)
    end
  end)
end

--- Queues a script. Its text goes out once for each connection, and its digest from then on.
---@param script string the source
---@param arguments (string|number)[] the number of keys, the keys, the arguments
---@param callback fun(reply: any, err: RespError|"lost"|nil)?
---@return boolean is_queued
function RedisCommands:eval(script, arguments, callback) return eval(self, script, arguments, callback) end

--- Queues SUBSCRIBE or UNSUBSCRIBE, in several commands when there are many channels.
---@param name "SUBSCRIBE"|"UNSUBSCRIBE"
---@param channels string[]
---@param callback fun(is_done: true?, err: RespError|"lost"|nil)? called when Redis has confirmed all
---@return boolean is_queued
function RedisCommands:in_batches(name, channels, callback)
  local open, failure = math.ceil(#channels / BATCH), nil
  local function finish(_, err)
    open, failure = open - 1, failure or err
    if open == 0 and callback then
      return callback(not failure or nil, failure)
    end
  end
  if self.is_open and open == 0 and callback then
    callback(true)
  end
  for first = 1, #channels, BATCH do
    local last = math.min(first + BATCH - 1, #channels)
    queue(self, { name, unpack(channels, first, last) }, finish, last - first + 1)
  end
  return self.is_open
end

--- Takes all that waits to be sent.
---@return string[]? pieces nil when nothing waits
---@return integer bytes
function RedisCommands:take()
  if self.count == 0 then
    return nil, 0
  end
  local pieces = self.pieces
  self.pieces, self.count = {}, 0
  return pieces, self.waiting_bytes
end

--- Bytes were given to the kernel.
---@param bytes integer
function RedisCommands:sent(bytes) self.waiting_bytes = self.waiting_bytes - bytes end

--- Refuses further commands, and ends all that have no answer with "lost".
function RedisCommands:lose()
  self.is_open, self.waiting_bytes, self.count = false, 0, 0
  self.pieces = {}
  self.requests:lose()
end

return RedisCommands
