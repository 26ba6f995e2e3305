-- Logs the state of the link to Redis: each reason once until the link has been up for a while.

local Clock = require "framegate.runtime.clock"
local Log = require "framegate.runtime.log"

---@class RedisReports
local RedisReports = {}
RedisReports.__index = RedisReports

---@return RedisReports
function RedisReports.new() return setmetatable({ logged = {} }, RedisReports) end

local function warn_once(self, text)
  if not self.logged[text] then
    self.logged[text] = true
    Log.warn(nil, text)
  end
end

local function at(where) return where and " at " .. where or "" end

--- The link is down, or cannot be made.
---@param where string? the address
---@param reason string
function RedisReports:down(where, reason)
  self.down_since = self.down_since or Clock.monotonic()
  warn_once(self, ("no link to Redis%s: %s"):format(at(where), reason))
end

--- How long there has been no link. The failure that began it counts as its beginning.
---@return number seconds 0 when there is one, or none has failed yet
function RedisReports:down_seconds() return self.down_since and Clock.monotonic() - self.down_since or 0 end

--- Redis refuses a command of this gateway.
---@param where string
---@param reason string
function RedisReports:refused(where, reason)
  warn_once(self, ("Redis at %s refuses a command: %s"):format(where, reason))
end

--- The link is up.
---@param where string
function RedisReports:up(where)
  if self.down_since then
    Log.info(
      nil,
      ("the link to Redis at %s is up again after %.1f s"):format(where, Clock.monotonic() - self.down_since)
    )
  else
    Log.info(nil, "the link to Redis at ", where, " is up")
  end
  self.down_since = nil
end

--- A long time without failures: each reason is logged again.
function RedisReports:forget() self.logged = {} end

return RedisReports
