-- Which worker of this node holds the link to Redis, and which one is about to. In shared memory, for every worker.

---@class Holders
local Holders = {}
Holders.__index = Holders

---@param parts { dict: table, members: Members } `dict`: a shared dictionary of ngx_lua
---@return Holders
function Holders.new(parts) return setmetatable({ dict = parts.dict, members = parts.members }, Holders) end

--- Records whether the configuration of this worker belongs to a cluster. Only the newest configuration counts.
---@param is_clustered boolean
function Holders:set_clustered(is_clustered)
  if self.members:is_newest() then
    self.dict:set("clustered", is_clustered)
  end
end

--- Whether this gateway belongs to a cluster.
---@return boolean
function Holders:is_clustered() return self.dict:get("clustered") == true end

--- The worker that holds the link, which may have been killed since.
---@return string? name
function Holders:current() return self.dict:get("holder") end

--- Whether this worker holds the link.
---@return boolean
function Holders:is_own() return self:current() == self.members:worker() end

--- The workers that need to know this node's groups of sockets: the holder, and one that is about to take over.
---@return string[] names
function Holders:all()
  local current, coming = self.dict:get("holder"), self.dict:get("next_holder")
  local names = {}
  names[1] = current
  names[#names + 1] = coming ~= current and coming or nil
  return names
end

--- Whether a worker of this name exists.
---@param name string
---@return boolean
function Holders:is_living(name)
  if name == self.members:worker() then
    return true
  end
  for _, other in ipairs(self.members:others()) do
    if other.name == name then
      return self.members:is_alive(other)
    end
  end
  return false
end

--- Whether the worker that holds the link exists.
---@return boolean
function Holders:is_alive()
  local current = self:current()
  return current ~= nil and self:is_living(current)
end

--- Names this worker as the one that is about to take over.
function Holders:prepare() self.dict:set("next_holder", self.members:worker()) end

--- Names this worker as the holder.
function Holders:take_over()
  self.dict:set("holder", self.members:worker())
  self:step_back()
end

local function delete_own(self, key)
  if self.dict:get(key) == self.members:worker() then
    self.dict:delete(key)
  end
end

--- This worker is not about to take over (any more).
function Holders:step_back() delete_own(self, "next_holder") end

--- This worker is neither the holder nor about to take over (any more).
function Holders:resign()
  delete_own(self, "holder")
  self:step_back()
end

--- Whether this worker should hold the link: the oldest one of the newest configuration that is not leaving.
---@return boolean
function Holders:should_hold()
  local members = self.members
  if members:is_leaving() or not members:is_last_configuration() then
    return false
  end
  for _, other in ipairs(members:others()) do
    local is_older = other.configuration == members:configuration() and other.joined_at < members:joined_at()
    if is_older and not other.is_leaving and members:is_alive(other) then
      return false
    end
  end
  return true
end

return Holders
