-- The list of this node's workers: which are running, which are shutting down, and with which configuration.
-- It is in shared memory, because every worker needs it and any worker may be killed at any moment.

local Clock = require "framegate.runtime.clock"
local Random = require "framegate.runtime.random"

local FORMER_SECONDS = 86400 -- for which a former id of this node is known; its sockets have ended long before

---@class Member another worker
---@field name string
---@field pid integer
---@field joined_at integer its position in the order in which workers joined
---@field configuration integer
---@field is_leaving boolean whether it is shutting down

---@class Members
---@field private dict table a shared dictionary of ngx_lua
---@field private configurations { [0]: number } how many configurations the master has loaded, shared by all
---@field private pid fun(): integer
---@field private is_process_dead fun(pid: integer): boolean
local Members = {}
Members.__index = Members

---@param parts { dict: table, configurations: table, pid: fun(): integer, is_dead: fun(pid: integer): boolean }
---@return Members
function Members.new(parts)
  return setmetatable({
    dict = parts.dict,
    configurations = parts.configurations,
    pid = parts.pid,
    is_process_dead = parts.is_dead,
    leaves = false,
    has_retired = false,
  }, Members)
end

local function fill(dict)
  dict:add("node", Random.name(4))
  dict:add("started", ngx.now())
  dict:add("began", Clock.monotonic())
  dict:add("generation", 1)
  dict:add("members", 0)
  dict:add("joined", 0)
  dict:add("secret", Random.name(32))
end

--- Fills the shared memory. Runs in the master, before workers start. At a reload it does not touch the dictionary,
--- which living workers use (see MasterMemory).
function Members:init()
  local configurations = self.configurations
  if configurations[0] == 0 then
    fill(self.dict)
  end
  configurations[0] = configurations[0] + 1
  self.own_configuration = configurations[0]
end

--- The id of this node, 4 characters. It survives a reload.
---@return string
function Members:node() return self.dict:get("node") end

--- Begins a new life of this node, under a new id: the other nodes have buried the former one.
function Members:begin_anew()
  self.dict:set("former:" .. self:node(), self.dict:get "renewed" or 0, FORMER_SECONDS)
  self.dict:set("node", Random.name(4))
  self.dict:delete("renewed")
end

--- When Redis last confirmed the lease of a life of this node that was buried.
---@param id string of a socket
---@return number? at by Clock.monotonic; nil when the socket belongs to no such life
function Members:former_renewal(id) return self.dict:get("former:" .. id:sub(1, 4)) end

--- The name of this worker, 6 characters. No later worker gets the same name.
---@return string
function Members:worker() return self.name end

--- A number that rises with every killed worker.
--- Keys of limits contain it, so that a limit forgets what a dead worker counted.
---@return integer
function Members:generation() return self.dict:get("generation") end

-- The last configuration that any worker has run, and when it was loaded.
-- Each configuration has its own key, because an older one's worker may join after a newer one's.
local function running(self)
  for configuration = self.configurations[0], 1, -1 do
    local loaded = self.dict:get("running:" .. configuration)
    if loaded then
      return configuration, loaded
    end
  end
end

--- When the gateway started, and when the running configuration was loaded. Both are in seconds since 1970.
---@return { started: number, loaded: number, configuration: integer }
function Members:times()
  local configuration, loaded = running(self)
  return { started = self.dict:get("started"), loaded = loaded, configuration = configuration }
end

--- How long the gateway has run.
---@return number seconds
function Members:uptime() return Clock.monotonic() - self.dict:get("began") end

--- The number of the configuration that this worker runs.
---@return integer
function Members:configuration() return self.own_configuration end

--- The secret that only the workers of this node know.
---@return string
function Members:secret() return self.dict:get("secret") end

--- A number that changes whenever a worker joins, begins to shut down or is gone.
---@return integer
function Members:version() return self.dict:get("members") end

--- The position of this worker in the order in which workers joined.
---@return integer
function Members:joined_at() return self.place end

local function announce_change(self) self.dict:incr("members", 1) end

-- A key may vanish between two reads, so each is read once.
local function read_members(dict)
  local members = {}
  for _, key in ipairs(dict:get_keys(0)) do
    local pid = tonumber(key:match("^worker:(%d+)$"))
    local name, joined_at, configuration = (pid and dict:get(key) or ""):match("^(%S+) (%d+) (%d+)$")
    if name then
      members[#members + 1] = {
        name = name,
        pid = pid,
        joined_at = tonumber(joined_at),
        configuration = tonumber(configuration),
        is_leaving = dict:get("leaving:" .. name) == true,
      }
    end
  end
  return members
end

--- The other workers. A killed one stays listed until it is claimed: check it with `is_alive`.
--- The list is read again only when the version has changed.
---@return Member[]
function Members:others()
  local version = self:version() -- read before the list, so that a change meanwhile causes another reading
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

--- Whether the process of another worker exists.
---@param other Member
---@return boolean
function Members:is_alive(other) return not self.is_process_dead(other.pid) end

--- Adds this worker to the list.
function Members:join()
  local dict = self.dict
  self.name, self.place = Random.name(6), dict:incr("joined", 1)
  dict:set("worker:" .. self.pid(), ("%s %d %d"):format(self.name, self.place, self.own_configuration))
  dict:add("running:" .. self.own_configuration, ngx.now())
  announce_change(self)
end

--- Removes killed workers from the list. `add` is atomic, so exactly one worker gets each name.
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

--- Whether the master has loaded a later configuration that no worker runs yet.
--- nginx stops old workers without waiting for the first new one.
---@return boolean
function Members:is_successor_due() return not self:is_newest() and self:is_last_configuration() end

--- Whether the master has loaded no later configuration than this worker's.
---@return boolean
function Members:is_newest() return self.configurations[0] == self.own_configuration end

--- Whether no worker runs a later configuration than this one.
---@return boolean
function Members:is_last_configuration() return running(self) == self.own_configuration end

--- Marks this worker as shutting down: it does not listen any more, and serves the sockets it has.
function Members:begin_to_leave()
  self.leaves = true
  self.dict:set("leaving:" .. self.name, true)
  announce_change(self)
end

--- Marks the gateway as stopping. nginx signals each worker only once.
--- So workers that shut down since a reload do not learn of the stop from nginx.
function Members:announce_stop() self.dict:set("is_stopping", true) end

--- Whether the gateway is stopping.
---@return boolean
function Members:is_stopping() return self.dict:get("is_stopping") == true end

--- Whether this worker is shutting down.
---@return boolean
function Members:is_leaving() return self.leaves end

--- Marks this worker as having nothing left to do: another worker must do what arrives now.
function Members:retire() self.has_retired = true end

--- Whether this worker has nothing left to do.
---@return boolean
function Members:has_left() return self.has_retired end

--- Records when Redis last confirmed this node's lease.
---@param at number by Clock.monotonic
function Members:set_renewed(at) self.dict:set("renewed", at) end

--- How long ago Redis confirmed this node's lease.
---@return number? seconds nil when it never did
function Members:renewal_age()
  local at = self.dict:get("renewed")
  return at and Clock.monotonic() - at
end

--- Removes this worker from the list: it exits by itself.
function Members:leave()
  self.dict:delete("worker:" .. self.pid())
  self.dict:delete("leaving:" .. self.name)
  announce_change(self)
end

return Members
