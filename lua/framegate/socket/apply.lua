-- Applies a handler's answer to the connection whose event it answers.

local Alarms = require "framegate.socket.alarms"
local Answer = require "framegate.dispatch.answer"
local Dialects = require "framegate.dispatch.dialects"
local Effects = require "framegate.dispatch.effects"
local EventMetrics = require "framegate.telemetry.event_metrics"
local GripEffects = require "framegate.socket.grip_effects"
local Log = require "framegate.runtime.log"
local Percent = require "framegate.protocol.percent"
local Record = require "framegate.socket.record"
local TraceContext = require "framegate.telemetry.trace_context"

local Apply = {}

local GONE, UNAVAILABLE = 410, 503

local push, registry, groups, feeds, history

--- Gives this module the instances of its worker.
---@param worker Worker
function Apply.wire(worker)
  push, registry, groups, feeds = worker.push, worker.registry, worker.groups, worker.feeds
  history = worker.history
end

-- To these events the client has asked nothing, so an error would be no answer.
local IS_OWN = { alarm = true, detach = true, resume = true }

local function send_error(self, event, error)
  if IS_OWN[event.kind] or not Dialects.of(self).HAS_ERROR_FRAMES then
    return
  end
  error.trace_id = TraceContext.trace_id(event)
  self:send(Dialects.of(self).error_frame(event, error), true)
end

local function report(self, event, err)
  EventMetrics.rejected()
  Log.limited(Log.error, "answer", TraceContext.label(event), "the handler's answer cannot be applied: ", err)
  send_error(self, event, { status = 502, message = "the handler's answer cannot be applied: " .. err })
end

-- A socket that was refused or has ended has nothing to change.
local function is_registered(self) return registry:get(self.id) ~= nil end

local REFUSALS = {
  gone = { status = GONE, message = "not everything after this position is kept: " },
  unreachable = { status = UNAVAILABLE, message = "what is kept cannot be read now: " },
}

-- Subscribes to a topic and sends the frames that it keeps. Calls `on_done` when they are sent.
local function follow(self, event, effect, on_done)
  if not is_registered(self) then
    return on_done()
  end
  feeds:subscribe(self, effect.wanted, function(ok, err, why)
    local refusal = REFUSALS[why]
    if not ok then
      report(self, event, err)
    elseif refusal then
      send_error(self, event, { status = refusal.status, message = refusal.message .. effect.wanted.topic })
    end
    on_done()
  end)
end

local APPLY = {
  send = function(self, effect) self:send(effect.payload, effect.is_text) end,
  close = function(self, effect) self:close(effect.code, effect.reason, "handler") end,
  state = function(self, effect)
    self:set_state(effect.value ~= "" and Percent.encode(effect.value) or nil)
    if is_registered(self) then
      Record.update(self)
    end
  end,
  user = function(self, effect)
    if is_registered(self) then
      registry:name_user(self, effect.value ~= "" and effect.value or nil)
      Record.update(self)
    end
  end,
  subscribe = function(self, effect)
    for _, topic in ipairs(is_registered(self) and effect.topics or {}) do
      local ok, err = registry:subscribe(self, topic)
      if not ok then
        return err
      end
    end
  end,
  unsubscribe = function(self, effect)
    for _, topic in ipairs(effect.topics) do
      registry:unsubscribe(self, topic)
    end
  end,
  alarm = function(self, effect)
    if is_registered(self) then
      Alarms.set(self, effect.seconds)
    end
  end,
  publish = function(self, effect, event) push:publish_effect(effect, self.id, event) end,
}

setmetatable(APPLY, { __index = GripEffects })

local function apply_one(self, event, effect)
  local err = APPLY[effect.kind](self, effect, event)
  if err then
    report(self, event, err)
  end
end

local JOINS = { subscribe = true, user = true }

-- Whether an effect behind a subscription waits until the messages of other nodes reach the topic here: a frame, and a message
-- that comes back to this node from Redis.
local function must_wait(effect)
  local waits = effect.kind == "send" or effect.kind == "publish" and history.is_shared
  return waits and not groups:is_known()
end

-- Runs something that calls a function when it is done. Returns false if that was at once; if it comes later, `go_on` is called.
local function is_waiting_for(run, go_on)
  local is_done, is_waiting = false, false
  run(function()
    is_done = true
    if is_waiting then
      go_on()
    end
  end)
  is_waiting = not is_done
  return is_waiting
end

local apply_from

-- Closures are made outside of the loop below: LuaJIT compiles no function that makes one.
local function go_on(run, from)
  return function() return apply_from(run, from) or run:on_done() end
end

local function is_following(run, place)
  return is_waiting_for(
    function(on_done) follow(run.connection, run.event, run.effects[place], on_done) end,
    go_on(run, place + 1)
  )
end

-- Applies the effects of a run from `first` on, and calls its `on_done` if it had to wait. Returns whether it waits.
function apply_from(run, first)
  local has_joined = false
  for i = first, #run.effects do
    local effect = run.effects[i]
    if has_joined and must_wait(effect) then
      groups:when_known(go_on(run, i))
      return true
    elseif effect.kind ~= "follow" then
      apply_one(run.connection, run.event, effect)
    elseif is_following(run, i) then
      return true
    end
    has_joined = has_joined or JOINS[effect.kind]
  end
  return false
end

--- Applies effects in order.
---@param self Connection
---@param event Event whose answer they are
---@param effects table[] as Effects.read gives them
---@param on_done fun() called once, at once or when what they wait for has come; must not yield
function Apply.effects(self, event, effects, on_done)
  if not apply_from({ connection = self, event = event, effects = effects, on_done = on_done }, 1) then
    on_done()
  end
end

-- An alarm whose event no handler has answered rings again. It was the only one: each event waits for the one before.
local function on_failure(self, event, answer)
  if event.kind == "alarm" and not Answer.is_final(answer) and is_registered(self) then
    Alarms.again(self)
  elseif not Dialects.of(self).HAS_ERROR_FRAMES then
    self:drop()
  end
  send_error(self, event, answer.error)
end

local function send_next(run)
  run.connection.is_in_flight = false
  run.connection:advance()
end

--- Applies the answer to a message or an alarm: its frame and effects, or the frame that reports an error.
---@param self Connection
---@param event Event
---@param answer Answer
---@return boolean? is_in_flight true when it goes on later, and then sends the next event itself
function Apply.answer(self, event, answer)
  if answer.failure then
    on_failure(self, event, answer)
    return
  end
  local is_error, is_own = answer.status >= 400, IS_OWN[event.kind]
  if answer.frame and not (is_error and is_own) then
    return self:send(answer.body, answer.frame == "text")
  end
  if answer.body == "" and is_error and not is_own and not answer.headers["ws-close"] then
    send_error(self, event, {
      status = answer.status,
      name = "Error",
      message = "the handler answered " .. answer.status .. " without a body",
    })
    return
  end
  local effects, err = Effects.read(answer)
  if not effects then
    report(self, event, err)
    return
  end
  effects = is_error and is_own and Effects.without_frames(effects) or effects
  return apply_from({ connection = self, event = event, effects = effects, on_done = send_next }, 1)
end

--- Applies what an answer publishes, and nothing else: its event has no socket, or none any more.
---@param event Event
---@param answer Answer
function Apply.publications(event, answer)
  if answer.failure then
    return
  end
  local effects, err = Effects.read(answer)
  if not effects then
    EventMetrics.rejected()
    local label = TraceContext.label(event)
    Log.limited(Log.error, "answer", label, "the answer to ", event.kind, " was not understood: ", err)
    return
  end
  for _, effect in ipairs(effects) do
    if effect.kind == "publish" then
      push:publish_effect(effect, event.connection.id or event.id, event)
    end
  end
end

return Apply
