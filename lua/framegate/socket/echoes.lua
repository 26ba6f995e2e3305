-- Waits until everything has arrived that the workers of this node sent before: messages between two workers keep their order.

local Clock = require "framegate.runtime.clock"
local Deadlines = require "framegate.runtime.deadlines"

local Echoes = {}

local SECONDS = 4 -- shorter than a call of another worker waits
local DEAD_SECONDS = 10 -- a worker that stands still for longer counts as dead

local bus
local silent_since -- when a wait began that is not over, by Clock.monotonic

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
    silent_since = silent_since or began
    run(Clock.monotonic() - silent_since >= DEAD_SECONDS)
  end
  late:add(item)
  bus:ask_all({ op = "echo", args = {}, payload = "" }, function()
    silent_since = nil
    if not is_over then
      late:remove(item)
      run(true)
    end
  end)
end

return Echoes
