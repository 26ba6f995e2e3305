-- A shared dictionary of ngx_lua (lua-nginx-module, "ngx.shared.DICT") for specs: it has room for everything, and keys that
-- expire do so by the clock of support/ngx.lua.

local Stub = require "support.ngx"

local Dictionary = {}
Dictionary.__index = Dictionary

---@return table
function Dictionary.new() return setmetatable({ values = {} }, Dictionary) end

local function live(self, key)
  local entry = self.values[key]
  if entry and entry.expires and entry.expires <= Stub.now then
    self.values[key], entry = nil, nil
  end
  return entry
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
