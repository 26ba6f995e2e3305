-- Requests of other nodes that come while the link changes hands. Both holders receive them then, but only one may run them:
-- two would reach the workers over different links of the mesh, in any order.
-- The former holder runs them until the next one takes over. The next one keeps what comes before that and for a moment longer,
-- and then runs what the former one has not.

local Queue = require "framegate.runtime.queue"

---@class Succession
local Succession = {}
Succession.__index = Succession

local MOMENT_SECONDS = 0.05 -- for what the former holder has sent to the workers
local ENTRY_BYTES = 512 -- about, without its payload
local MAX_BYTES = 16 * 1024 * 1024 -- kept; the nodes that sent what is dropped repeat it

---@param parts { is_holder: (fun(): boolean), run: fun(head: table, payload: string), now: fun(): number }
--- `is_holder`: whether this worker is the one that runs them; `run` skips what was run before
---@return Succession
function Succession.new(parts)
  return setmetatable({
    is_holder = parts.is_holder,
    run = parts.run,
    now = parts.now,
    kept = Queue.new(),
    bytes = 0,
    since = nil, -- when this worker was first seen to be the holder, by Clock.monotonic
  }, Succession)
end

local function is_its_turn(self)
  if not self.is_holder() then
    self.since = nil
    return false
  end
  local now = self.now()
  self.since = self.since or now
  return now - self.since >= MOMENT_SECONDS
end

local function pop(self)
  local request = self.kept:pop()
  if request then
    self.bytes = self.bytes - #request.payload - ENTRY_BYTES
  end
  return request
end

local function keep(self, head, payload)
  self.kept:push { head = head, payload = payload }
  self.bytes = self.bytes + #payload + ENTRY_BYTES
  while self.bytes > MAX_BYTES do
    pop(self)
  end
end

--- Runs what was kept, if it is this worker's turn. Does not yield.
function Succession:look()
  if not is_its_turn(self) then
    return
  end
  local request = pop(self)
  while request do
    self.run(request.head, request.payload)
    request = pop(self)
  end
end

--- Takes a request. Does not yield.
---@param head table of the message
---@param payload string
function Succession:receive(head, payload)
  if self.kept:peek() or not is_its_turn(self) then
    keep(self, head, payload)
    return self:look()
  end
  return self.run(head, payload)
end

return Succession
