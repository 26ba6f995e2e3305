-- A shared dictionary of ngx_lua (lua-nginx-module, "ngx.shared.DICT") for specs. Keys expire by the clock of support/ngx.lua.
-- The safe functions throw nothing out, and what has expired takes room until it is flushed.

local Stub = require "support.ngx"

local Dictionary = {}
Dictionary.__index = Dictionary

---@param capacity integer? bytes of keys and values that the safe functions fill
---@return table
function Dictionary.new(capacity) return setmetatable({ values = {}, capacity = capacity or math.huge }, Dictionary) end

local function live(self, key)
  local entry = self.values[key]
  local has_expired = entry and entry.expires and entry.expires <= Stub.now
  return not has_expired and entry or nil
end

function Dictionary:get(key)
  local entry = live(self, key)
  return entry and entry.value
end

function Dictionary:set(key, value, seconds)
  self.values[key] = { value = value, expires = seconds and Stub.now + seconds }
  return true
end

Dictionary.safe_set = Dictionary.set

function Dictionary:add(key, value, seconds)
  if live(self, key) then
    return false, "exists"
  end
  return self:set(key, value, seconds)
end

local function used(self, but)
  local bytes = 0
  for key, entry in pairs(self.values) do
    bytes = bytes + (key ~= but and #key + #tostring(entry.value) or 0)
  end
  return bytes
end

function Dictionary:safe_set(key, value, seconds)
  if used(self, key) + #key + #tostring(value) > self.capacity then
    return nil, "no memory"
  end
  return self:set(key, value, seconds)
end

function Dictionary:safe_add(key, value, seconds)
  if live(self, key) then
    return false, "exists"
  end
  return self:safe_set(key, value, seconds)
end

function Dictionary:flush_expired()
  for key in pairs(self.values) do
    self.values[key] = live(self, key)
  end
end

function Dictionary:incr(key, by, init)
  local value = (self:get(key) or assert(init, "not found")) + by
  self:set(key, value)
  return value
end

function Dictionary:expire(key, seconds)
  local entry = live(self, key)
  if entry then
    entry.expires = Stub.now + seconds
  end
  return entry ~= nil
end

function Dictionary:delete(key) self.values[key] = nil end

function Dictionary:get_keys()
  local keys = {}
  for key in pairs(self.values) do
    keys[#keys + 1] = live(self, key) and key
  end
  table.sort(keys)
  return keys
end

return Dictionary
