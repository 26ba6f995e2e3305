-- The workers of this node, and what they share: who lives, who is shutting down, which configuration runs.
-- It is in shared memory, because every worker must know it and a worker may be killed at any moment.

local Clock = require "framegate.runtime.clock"
local Random = require "framegate.runtime.random"

---@class Member another worker
---@field name string
---@field pid integer
---@field joined_at integer its place in the order in which workers joined
---@field is_leaving boolean whether it is shutting down

---@class Members
---@field private dict table a shared dictionary of ngx_lua
---@field private pid fun(): integer
---@field private is_process_dead fun(pid: integer): boolean
local Members = {}
Members.__index = Members

---@param parts { dict: table, pid: fun(): integer, is_dead: fun(pid: integer): boolean }
---@return Members
function Members.new(parts)
  local self =
    { dict = parts.dict, pid = parts.pid, is_process_dead = parts.is_dead, leaves = false, has_retired = false }
  return setmetatable(self, Members)
end

--- Runs in the master, before there are workers. What is there already has survived a reload.
function Members:init()
  local dict = self.dict
  dict:add("node", Random.name(4))
  dict:add("started", ngx.now())
  dict:add("began", Clock.monotonic())
  dict:add("generation", 1)
  dict:add("members", 0)
  dict:add("joined", 0)
  dict:add("secret", Random.name(32))
  self.own_configuration = dict:incr("configurations", 1, 0)
end

--- The id of this node, 4 characters; it survives a reload.
---@return string
function Members:node() return self.dict:get("node") end

--- The name of this worker, 6 characters, never used again.
---@return string
function Members:worker() return self.name end

--- Rises with every worker that was killed: a limit whose key holds it forgets what the dead worker counted.
---@return integer
function Members:generation() return self.dict:get("generation") end

-- The last configuration of which a worker has run, and when it was loaded. Each has a key of its own, because a worker may
-- join after the first of a later configuration.
local function running(dict)
  for configuration = dict:get("configurations"), 1, -1 do
    local loaded = dict:get("running:" .. configuration)
    if loaded then
      return configuration, loaded
    end
  end
end

--- When the gateway started, and when the configuration that runs was loaded, in seconds since 1970.
---@return { started: number, loaded: number, configuration: integer }
function Members:times()
  local configuration, loaded = running(self.dict)
  return { started = self.dict:get("started"), loaded = loaded, configuration = configuration }
end

--- How long the gateway has run.
---@return number seconds
function Members:uptime() return Clock.monotonic() - self.dict:get("began") end

--- The number of the configuration that this worker runs.
---@return integer
function Members:configuration() return self.own_configuration end

--- What only the workers of this node know.
---@return string
function Members:secret() return self.dict:get("secret") end

--- A number that changes whenever a worker joins, begins to shut down or is gone.
---@return integer
function Members:version() return self.dict:get("members") end

--- The place of this worker in the order in which workers joined.
---@return integer
function Members:joined_at() return self.place end

local function announce_change(self) self.dict:incr("members", 1) end

-- A key may vanish between two reads, so each is read once.
local function read_members(dict)
  local members = {}
  for _, key in ipairs(dict:get_keys(0)) do
    local pid = tonumber(key:match("^worker:(%d+)$"))
    local name, joined_at = (pid and dict:get(key) or ""):match("^(%S+) (%d+)$")
    if name then
      local is_leaving = dict:get("leaving:" .. name) == true
      members[#members + 1] = { name = name, pid = pid, joined_at = tonumber(joined_at), is_leaving = is_leaving }
    end
  end
  return members
end

--- The other workers. One that was killed is among them until it was claimed: `is_alive` tells. The list is read anew only
--- when the version has changed.
---@return Member[]
function Members:others()
  local version = self:version() -- before the list: what changes meanwhile is read the next time
  if version ~= self.listed_version then
    local others = {}
    for _, member in ipairs(read_members(self.dict)) do
      if member.name ~= self.name then
        others[#others + 1] = member
      end
    end
    self.listed, self.listed_version = others, version
  end
  return self.listed
end

--- Whether the process of another worker is there.
---@param other Member
---@return boolean
function Members:is_alive(other) return not self.is_process_dead(other.pid) end

--- A worker joins.
function Members:join()
  local dict = self.dict
  self.name, self.place = Random.name(6), dict:incr("joined", 1)
  dict:set("worker:" .. self.pid(), self.name .. " " .. self.place)
  dict:add("running:" .. self.own_configuration, ngx.now())
  announce_change(self)
end

--- Takes the workers that were killed off the list. `add` is atomic, so exactly one worker gets each name.
---@return string[] names of those that this worker must clean up after
function Members:claim_dead()
  local names = {}
  for _, member in ipairs(read_members(self.dict)) do
    if self.is_process_dead(member.pid) and self.dict:add("settled:" .. member.name, true, 3600) then
      self.dict:delete("worker:" .. member.pid)
      self.dict:delete("leaving:" .. member.name)
      self.dict:incr("generation", 1)
      announce_change(self)
      names[#names + 1] = member.name
    end
  end
  return names
end

--- Whether the master has loaded a later configuration of which no worker runs yet. nginx does not wait for the first one.
---@return boolean
function Members:is_successor_due()
  return self.dict:get("configurations") ~= self.own_configuration and self:is_last_configuration()
end

--- Whether no worker runs a later configuration than this one.
---@return boolean
function Members:is_last_configuration() return running(self.dict) == self.own_configuration end

--- This worker shuts down: it listens no more, and serves the sockets it has.
function Members:begin_to_leave()
  self.leaves = true
  self.dict:set("leaving:" .. self.name, true)
  announce_change(self)
end

--- The gateway stops. nginx tells each worker to go once, so those from before a reload do not hear of it from nginx.
function Members:announce_stop() self.dict:set("is_stopping", true) end

--- Whether the gateway stops.
---@return boolean
function Members:is_stopping() return self.dict:get("is_stopping") == true end

--- Whether this worker is shutting down.
---@return boolean
function Members:is_leaving() return self.leaves end

--- This worker has nothing left to do: what arrives now is for another worker.
function Members:retire() self.has_retired = true end

--- Whether this worker has nothing left to do.
---@return boolean
function Members:has_left() return self.has_retired end

--- The worker exits by itself.
function Members:leave()
  self.dict:delete("worker:" .. self.pid())
  self.dict:delete("leaving:" .. self.name)
  announce_change(self)
end

return Members
