-- Closes the sockets of a worker that is shutting down, spread evenly over a time, so that their clients do not all come back
-- in the same moment: with 1001 when the gateway stops, with 1012 when it was reloaded and DRAIN_SECONDS is set.

local Attachment = require "framegate.socket.attachment"
local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local Task = require "framegate.runtime.task"

---@class Drain
---@field reason { code: integer, text: string, cause: string }? why sockets are closed now
local Drain = {}

local members, registry

--- Gives this module the instances of its worker.
---@param worker Worker
function Drain.wire(worker)
  members, registry = worker.members, worker.registry
end

local STEP_SECONDS = 0.05
local STOP = { code = CloseCode.GOING_AWAY, text = "the gateway stops", cause = "stop" }

--- For sockets of a life of this node that was buried.
Drain.BURIED = {
  code = CloseCode.SERVICE_RESTART,
  text = "the gateway was cut off from its cluster",
  cause = "buried",
}

--- Why a socket that opens now is closed: its handshake began before the others were.
---@param id string
---@return { code: integer, text: string, cause: string }? reason nil when it stays open
function Drain.reason_for(id) return Drain.reason or members:former_renewal(id) and Drain.BURIED or nil end

-- Each after the answer to the event it has in flight; what waits behind that is dropped. A session goes on elsewhere.
local function close_some(ids, from, to, reason)
  for i = from, to do
    local connection = registry:get(ids[i])
    if connection and (connection.session or connection.moving) then
      Attachment.send_away(connection, reason.text)
    elseif connection then
      connection:drop_inbox()
      connection.outbox:wake_reader()
      connection:close_after_replies(reason.code, reason.text, reason.cause)
    end
  end
end

local function drain(reason, seconds)
  local ids = {}
  for id in pairs(registry:all()) do
    ids[#ids + 1] = id
  end
  local began, closed = Clock.monotonic(), 0
  while closed < #ids and registry:count() > 0 do
    local share = seconds > 0 and math.min((Clock.monotonic() - began + STEP_SECONDS) / seconds, 1) or 1
    local to = math.ceil(#ids * share)
    close_some(ids, closed + 1, to, reason)
    closed = to
    ngx.sleep(STEP_SECONDS)
  end
end

--- Begins to close every socket of this worker. Returns immediately.
---@param reason { code: integer, text: string, cause: string }
---@param seconds number over which the closing is spread
function Drain.begin(reason, seconds)
  Drain.reason = reason
  Task.new("closing the sockets", function() drain(reason, seconds) end):begin()
end

--- The gateway stops: the sockets of this worker are closed with 1001, over STOP_SECONDS.
function Drain.stop() Drain.begin(STOP, Config.STOP_SECONDS) end

--- Closes with 1001 every socket that is still open, whatever answer it waits for. Another node may have one that was sent.
function Drain.close_all()
  for _, connection in pairs(registry:all()) do
    if not (connection.moving and connection.moving.is_sent) then
      connection:close(STOP.code, STOP.text, STOP.cause)
    end
  end
end

return Drain
