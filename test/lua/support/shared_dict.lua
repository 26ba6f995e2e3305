-- A shared dictionary of ngx_lua for specs, with room for a number of entries. Values expire on the clock of support/ngx.lua.

local Stub = require "support.ngx"

local SharedDict = {}
SharedDict.__index = SharedDict

---@param room integer? entries that fit
function SharedDict.new(room) return setmetatable({ values = {}, count = 0, room = room or math.huge }, SharedDict) end

local function entry_of(self, key)
  local entry = self.values[key]
  if entry and entry.due and entry.due <= Stub.now then
    self:delete(key)
    return nil
  end
  return entry
end

function SharedDict:get(key)
  local entry = entry_of(self, key)
  return entry and entry.value
end

function SharedDict:safe_set(key, value, seconds)
  if not entry_of(self, key) then
    if self.count >= self.room then
      return nil, "no memory"
    end
    self.count = self.count + 1
  end
  self.values[key] = { value = value, due = seconds and Stub.now + seconds }
  return true
end

function SharedDict:safe_add(key, value, seconds)
  if entry_of(self, key) then
    return nil, "exists"
  end
  return self:safe_set(key, value, seconds)
end

SharedDict.add, SharedDict.set = SharedDict.safe_add, SharedDict.safe_set

function SharedDict:incr(key, step, initial)
  local entry = entry_of(self, key)
  if not entry and not initial then
    return nil, "not found"
  end
  local value = (entry and entry.value or initial) + step
  self:safe_set(key, value)
  return value
end

function SharedDict:delete(key)
  if self.values[key] then
    self.values[key], self.count = nil, self.count - 1
  end
end

function SharedDict:get_keys()
  local keys = {}
  for key in pairs(self.values) do
    keys[#keys + 1] = key
  end
  return keys
end

-- As ngx_lua gives it: bytes.
function SharedDict:capacity() return self.room == math.huge and 2 ^ 26 or self.room * 512 end

return SharedDict
