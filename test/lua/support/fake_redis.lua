-- Stands for RedisLink: notes what is sent, and a spec answers it.

local FakeRedis = {}
FakeRedis.__index = FakeRedis

---@return table
function FakeRedis.new()
  return setmetatable({ is_up = true, sent = {}, subscribed = {}, client_id = 1, run_id = "r" }, FakeRedis)
end

local function note(self, entry)
  if not self.is_up then
    return false
  end
  self.sent[#self.sent + 1] = entry
  return true
end

function FakeRedis:command(callback, ...)
  return note(self, { callback = callback or function() end, ... })
end

function FakeRedis:eval(script, keys, args, callback)
  return note(self, { "EVAL", script = script, keys = keys, args = args, callback = callback })
end

function FakeRedis:subscribe(channels, callback)
  return note(self, { "SUBSCRIBE", channels = channels, callback = callback })
end

function FakeRedis:unsubscribe(channels) return note(self, { "UNSUBSCRIBE", channels = channels }) end

function FakeRedis:is_away() return not self.is_up or self.is_late == true end

--- Takes what was sent.
---@return table[]
function FakeRedis:take()
  local sent = self.sent
  self.sent = {}
  return sent
end

--- Takes the only command that was sent.
---@return table
function FakeRedis:take_one()
  local sent = self:take()
  assert(#sent == 1, #sent .. " commands were sent")
  return sent[1]
end

return FakeRedis
