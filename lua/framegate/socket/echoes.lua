-- Waits until everything has arrived that the workers of this node sent before: messages between two workers keep their order.

local Clock = require "framegate.runtime.clock"
local Deadlines = require "framegate.runtime.deadlines"

local Echoes = {}

local SECONDS = 4 -- shorter than a call of another worker waits
local DEAD_SECONDS = 10 -- a worker that stands still for longer counts as dead

local bus
local silent_since, late_at -- when the first of the waits in vain began, and when the last one ended, by Clock.monotonic

--- Gives this module the instances of its worker.
---@param worker Worker
function Echoes.wire(worker)
  bus, silent_since = worker.bus, nil
end

local late = Deadlines.new("the end of a wait for echoes", function(item) item.on_late() end)

--- Calls a function once when every worker has answered, or after 4 s. Does not yield.
---@param run fun(is_complete: boolean) `is_complete` is false while a worker stands still: what it has sent to others may not
--- have come here. From 10 s on it counts as dead. Must not yield
function Echoes.await(run)
  local began, is_over = Clock.monotonic(), false
  local item = { at = began + SECONDS }
  function item.on_late()
    is_over = true
    local now = Clock.monotonic()
    if not silent_since or now - late_at > DEAD_SECONDS then
      silent_since = began
    end
    late_at = now
    run(now - silent_since >= DEAD_SECONDS)
  end
  late:add(item)
  bus:ask_all({ op = "echo", args = {}, payload = "" }, function(_, is_complete)
    silent_since = not is_complete and silent_since or nil
    if not is_over and is_complete then
      late:remove(item)
      run(true)
    end
  end)
end

return Echoes
