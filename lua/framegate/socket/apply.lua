-- Applies a handler's answer to the connection whose event it answers.

local Alarms = require "framegate.socket.alarms"
local Answer = require "framegate.dispatch.answer"
local Effects = require "framegate.dispatch.effects"
local EventMetrics = require "framegate.telemetry.event_metrics"
local HttpStatus = require "framegate.protocol.http_status"
local Log = require "framegate.runtime.log"
local Percent = require "framegate.protocol.percent"
local Record = require "framegate.socket.record"

local Apply = {}

local GONE = 410

local push, registry, groups, feeds

--- Gives this module the instances of its worker.
---@param worker Worker
function Apply.wire(worker)
  push, registry, groups, feeds = worker.push, worker.registry, worker.groups, worker.feeds
end

-- To these events the client has asked nothing, so an error would be no answer.
local IS_OWN = { alarm = true, detach = true, resume = true }

local function send_error(self, event, error)
  if IS_OWN[event.kind] then
    return
  end
  error.id = event.id
  self:send(HttpStatus.error_body(error), true)
end

local function report(self, event, err)
  EventMetrics.rejected()
  Log.limited(Log.error, "answer", event.id, "the handler's answer cannot be carried out: ", err)
  send_error(self, event, { status = 502, message = "the handler's answer cannot be carried out: " .. err })
end

-- A socket that was refused or has ended has nothing to change.
local function is_registered(self) return registry:get(self.id) ~= nil end

-- Subscribes to a topic and sends the frames that it keeps.
local function follow(self, effect, event)
  if not is_registered(self) then
    return
  end
  local ok, err, is_gone = feeds:subscribe(self, effect.wanted)
  if not ok then
    return err
  elseif is_gone then
    local message = "not everything after this position is kept: " .. effect.wanted.topic
    send_error(self, event, { status = GONE, message = message })
  end
end

local APPLY = {
  follow = follow,
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
  publish = function(self, effect) push:publish_effect(effect, self.id) end,
}

local function apply_one(self, event, effect)
  local err = APPLY[effect.kind](self, effect, event)
  if err then
    report(self, event, err)
  end
end

--- Applies effects in order.
---@param self Connection
---@param event Event whose answer they are
---@param effects table[] as Effects.read gives them
function Apply.effects(self, event, effects)
  for _, effect in ipairs(effects) do
    apply_one(self, event, effect)
  end
end

local JOINS = { subscribe = true, user = true }

-- Applies effects from `first` on. A frame behind a subscription waits until pushes of other nodes reach the topic here.
-- Returns whether it waits.
local function apply_from(self, event, effects, first)
  local has_joined = false
  for i = first, #effects do
    local effect = effects[i]
    if has_joined and effect.kind == "send" and not groups:is_known() then
      groups:when_known(function()
        self.is_in_flight = apply_from(self, event, effects, i)
        self:advance()
      end)
      return true
    end
    has_joined = has_joined or JOINS[effect.kind]
    apply_one(self, event, effect)
  end
  return false
end

-- An alarm whose event no handler has answered rings again. It was the only one: each event waits for the one before.
local function on_failure(self, event, answer)
  if event.kind == "alarm" and not Answer.is_final(answer) and is_registered(self) then
    Alarms.again(self)
  end
  send_error(self, event, answer.error)
end

local function without_frames(effects)
  local others = {}
  for _, effect in ipairs(effects) do
    others[#others + 1] = effect.kind ~= "send" and effect or nil
  end
  return others
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
  return apply_from(self, event, is_error and is_own and without_frames(effects) or effects, 1)
end

--- Applies what an answer publishes, and nothing else: its event has no socket, or none any more.
---@param id string of the socket, or of the event if it never had one
---@param answer Answer
---@param kind "close"|"timer" of the event
function Apply.publications(id, answer, kind)
  if answer.failure then
    return
  end
  local effects, err = Effects.read(answer)
  if not effects then
    EventMetrics.rejected()
    Log.limited(Log.error, "answer", id, "the answer to ", kind, " was not understood: ", err)
    return
  end
  for _, effect in ipairs(effects) do
    if effect.kind == "publish" then
      push:publish_effect(effect, id)
    end
  end
end

return Apply
