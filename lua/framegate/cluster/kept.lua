-- Requests that nobody waits for, until they are finished: within a bound, the oldest are given up for newer ones.

local Queue = require "framegate.runtime.queue"

---@class Kept
---@field bytes integer of those that are not finished
local Kept = {}
Kept.__index = Kept

---@param parts { max_bytes: integer, give_up: fun(entry: table) } `give_up` finishes an entry
---@return Kept
function Kept.new(parts)
  return setmetatable({ max_bytes = parts.max_bytes, give_up = parts.give_up, queue = Queue.new(), bytes = 0 }, Kept)
end

--- Adds an entry, and gives up older ones when that is too much.
---@param entry { bytes: integer, is_finished: boolean? }
function Kept:add(entry)
  self.queue:push(entry)
  self.bytes = self.bytes + entry.bytes
  local oldest = self.queue:peek()
  while oldest and (oldest.is_finished or self.bytes > self.max_bytes) do
    self.queue:pop()
    if not oldest.is_finished then
      self.give_up(oldest)
    end
    oldest = self.queue:peek()
  end
end

--- Takes note that an entry is finished.
---@param entry { bytes: integer }
function Kept:finished(entry) self.bytes = self.bytes - entry.bytes end

return Kept
