-- Waits until everything has arrived that the workers of this node sent before: messages between two workers keep their order.

local Clock = require "framegate.runtime.clock"
local Deadlines = require "framegate.runtime.deadlines"

local Echoes = {}

local SECONDS = 2

local bus

--- Gives this module the instances of its worker.
---@param worker Worker
function Echoes.wire(worker) bus = worker.bus end

local late = Deadlines.new("the end of a wait for echoes", function(item) item.run() end)

--- Calls a function once when every worker has answered. One that stands still is not waited for. Does not yield.
---@param run fun() must not yield
function Echoes.await(run)
  local item = { at = Clock.monotonic() + SECONDS }
  function item.run()
    if not item.is_over then
      item.is_over = true
      late:remove(item)
      run()
    end
  end
  late:add(item)
  bus:ask_all({ op = "echo", args = {}, payload = "" }, item.run)
end

return Echoes
