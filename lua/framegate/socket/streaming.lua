-- The streamed answer of a socket (dispatch/stream.lua), seen from the socket: when it may go on, and when it must end.

local Answer = require "framegate.dispatch.answer"
local Apply = require "framegate.socket.apply"
local Effects = require "framegate.dispatch.effects"
local Moving = require "framegate.socket.moving"
local Questions = require "framegate.socket.questions"

local Streaming = {}

-- A close comes after the frames, with the end of the stream.
local function effects_of(head)
  local headers = {}
  for name, value in pairs(head.headers) do
    headers[name] = name ~= "ws-close" and value or nil
  end
  return Effects.read { status = 204, headers = headers, body = "" }
end

--- Accepts that the handler streams the answer to an event. What its head asks for is done first.
---@param self Connection
---@param event Event
---@param stream Stream
function Streaming.begin(self, event, stream)
  self.stream = stream
  Questions.let_go(event)
  local effects, err = effects_of(stream.head)
  if not effects then
    return stream:stop(Answer.failed("malformed", err))
  end
  Apply.effects(self, event, effects, function()
    stream:release()
    Moving.look(self)
  end)
  Streaming.look(self)
end

--- Lets the stream go on when the outbox has room, and ends it when the socket ends or is about to be closed.
---@param self Connection
function Streaming.look(self)
  local stream = self.stream
  if not stream then
    return
  elseif self.phase == "closing" or self.phase == "ended" or self.inbox and self.inbox.has_close then
    stream:stop()
  elseif not self.outbox:is_full() then
    stream:resume()
  end
end

--- Ends the stream because the socket goes where it cannot go along: to another node, or to the next start.
---@param self Connection with a stream
function Streaming.cut(self)
  self.stream:stop(Answer.of_stream("lost", "the stream was ended, because its socket goes to another worker"))
end

return Streaming
