-- Applies the effects that only answers in GRIP have (dispatch/grip_effects.lua lists them).

local Encoder = require "framegate.protocol.encoder"
local Filters = require "framegate.push.filters"
local Later = require "framegate.socket.later"

---@class GripFacts
---@field rest WebSocketEvent[]? content that the handler has not accepted yet (dispatch/grip.lua)
---@field filters ConnectionFilters? of its subscriptions
---@field is_kept_alive true? whether it has a keep-alive (later.lua)

return {
  drop = function(self) self:drop() end,
  rest = function(self, effect) self:grip_facts().rest = effect.events end,
  control = function(self, effect) self.outbox:push(Encoder[effect.name](effect.payload)) end,
  keep_alive = Later.keep_alive,
  delay = Later.delay,
  flush = Later.flush,
  filter = function(self, effect)
    local facts = self:grip_facts()
    facts.filters = Filters.set(facts.filters, effect.topic, effect.filters)
  end,
  filter_meta = function(self, effect)
    local facts = self:grip_facts()
    facts.filters = Filters.set_meta(facts.filters, effect.name, effect.value)
  end,
}
