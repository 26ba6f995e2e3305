-- How a connection ends: with its close event, or by a move to another worker, which has it then.

local AddressCount = require "framegate.socket.address_count"
local Alarms = require "framegate.socket.alarms"
local Attachment = require "framegate.socket.attachment"
local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local Encoder = require "framegate.protocol.encoder"
local Gc = require "framegate.runtime.gc"
local Later = require "framegate.socket.later"
local Lifecycle = require "framegate.telemetry.lifecycle"
local Moving = require "framegate.socket.moving"
local Places = require "framegate.session.places"
local Record = require "framegate.socket.record"

local Ending = {}

local DROPPED = { code = CloseCode.ABNORMAL, reason = "the handler ended it", cause = "handler" }
local LOST = { code = CloseCode.ABNORMAL, reason = "", cause = "lost" }
local dispatch, registry, members

--- Gives this module the instances of its worker.
---@param worker Worker
function Ending.wire(worker)
  dispatch, registry, members = worker.dispatch, worker.registry, worker.members
end

--- Ends the socket when nginx frees its request before there was a transport.
---@param self Connection
function Ending.request_ended(self) return Attachment.ended(self, nil) end

--- Closes with this code once the outbox is sent. An earlier reason for the end is kept.
---@param self Connection
---@param code integer? nil for an empty close frame
---@param reason string?
---@param cause string of framegate_sockets_closed_total
function Ending.close(self, code, reason, cause)
  if self.moving then
    return Moving.wait_to_close(self, function() return self.phase == "ended" or self:close(code, reason, cause) end)
  end
  local is_first = self.outbox:push(Encoder.close(code, reason))
  self:begin_closing()
  if is_first and not self.closing then
    self:end_with(code or CloseCode.NO_STATUS, reason, cause)
  end
  if self:is_detached() and self.phase ~= "ended" then
    self:finish() -- nobody will send the close frame
  end
end

--- Ends the socket without a close frame, when what waits for the client is sent. The handler gets no message that waits.
---@param self Connection
function Ending.drop(self)
  if self.moving then
    return Moving.wait_to_close(self, function() return self.phase == "ended" or self:drop() end)
  end
  self.is_dropped, self.closing = true, self.closing or DROPPED
  self:drop_inbox()
  self:begin_closing()
  if self:is_detached() and self.phase ~= "ended" then
    self:finish()
  elseif self.outbox.transport then
    self.outbox.transport:wake()
  end
end

--- Forgets a socket that another worker has now, or a file.
---@param self Connection
---@param is_kept boolean? whether a file has it instead, until the next start
function Ending.leave(self, is_kept)
  Alarms.clear(self)
  Later.clear(self)
  Attachment.leave(self)
  self.outbox:clear()
  self:drop_inbox()
  self.phase = "ended"
  Lifecycle.moved(-1)
  if is_kept then
    Record.remove(self)
  else
    local is_near = Places.of(self.id) == members:node()
    Record.leave_behind(self, is_near)
    if not is_near then
      self.session:leave()
    end
  end
  registry:remove(self)
  AddressCount.release(self)
  if self.moving then
    Moving.finish(self)
  end
  Gc.note_end()
  dispatch:check_idle()
end

--- Ends the socket. The close event follows the answer to its last message.
---@param self Connection
function Ending.finish(self)
  local was_open = self.phase ~= "opening"
  Gc.note_body(self.outbox.bytes)
  Alarms.clear(self)
  Later.clear(self)
  Attachment.forget(self)
  self.outbox:clear()
  self.phase, self.ended_at, self.closing = "ended", Clock.monotonic(), self.closing or LOST
  if was_open and not self.is_refused then
    Lifecycle.closed(self)
  end
  Record.close(self)
  registry:remove(self)
  AddressCount.release(self)
  Gc.note_end()
  self:advance()
  dispatch:check_idle()
end

return Ending
