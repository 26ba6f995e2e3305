-- Pushes as push.lua makes them, with a span for each one that is sampled.

local Push = require "framegate.push.push"

---@class TracedPush: Push
---@field private tracer Tracer
local TracedPush = setmetatable({}, { __index = Push })
TracedPush.__index = TracedPush

---@param parts table as Push.new takes them
---@param tracer Tracer
---@return TracedPush
function TracedPush.new(parts, tracer)
  local self = setmetatable(Push.new(parts), TracedPush)
  self.tracer = tracer
  return self
end

-- Runs a push, and returns what it does.
local function traced(self, push, traceparent, run)
  local span = self.tracer:begin_push(push, traceparent)
  local counts, err = run()
  if span then
    self.tracer:end_push(span, counts, err)
  end
  return counts, err
end

--- As Push:send. `message.traceparent` is that of who asks for it.
function TracedPush:send(id, message)
  local push = { kind = "connection", target = id, bytes = #message.payload }
  return traced(self, push, message.traceparent, function() return Push.send(self, id, message) end)
end

--- As Push:to_many. `message.traceparent` is that of who asks for it.
function TracedPush:to_many(op, args, message)
  local push = { kind = Push.KINDS[op], target = args.topic, bytes = #message.payload }
  return traced(self, push, message.traceparent, function() return Push.to_many(self, op, args, message) end)
end

--- As Push:publish_effect. The span of the event is the parent.
function TracedPush:publish_effect(effect, id, event)
  local push = { kind = "topic", target = effect.topic, bytes = #effect.payload }
  traced(self, push, event.traceparent, function() Push.publish_effect(self, effect, id) end)
end

return TracedPush
