-- Requests that nobody waits for, until they are finished: within a bound, the oldest are given up for newer ones.
-- Besides its payload each costs memory for its tables, which counts too.

local Queue = require "framegate.runtime.queue"

---@class Kept
---@field bytes integer of those that are not finished
local Kept = {}
Kept.__index = Kept

local OVERHEAD_BYTES = 1024

---@param parts { max_bytes: integer, give_up: fun(entry: table) } `give_up` finishes an entry, and then calls `finished`
---@return Kept
function Kept.new(parts)
  return setmetatable({ max_bytes = parts.max_bytes, give_up = parts.give_up, queue = Queue.new(), bytes = 0 }, Kept)
end

--- Adds an entry, and gives up older ones when that is too much.
---@param entry { bytes: integer, is_finished: boolean? }
function Kept:add(entry)
  self.queue:push(entry)
  self.bytes = self.bytes + entry.bytes + OVERHEAD_BYTES
  while self.bytes > self.max_bytes do
    self.give_up(self.queue:peek())
  end
end

--- Takes note that an entry is finished.
---@param entry { bytes: integer, is_finished: boolean }
function Kept:finished(entry)
  self.bytes = self.bytes - entry.bytes - OVERHEAD_BYTES
  local oldest = self.queue:peek()
  while oldest and oldest.is_finished do
    self.queue:pop()
    oldest = self.queue:peek()
  end
end

return Kept
