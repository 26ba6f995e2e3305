-- The workers of this node, and what they share: who lives, who is shutting down, which configuration runs.
-- It is in shared memory, because every worker must know it and a worker may be killed at any moment.

local Process = require "framegate.runtime.process"
local Random = require "framegate.runtime.random"

local Members = {}

local gateway = ngx.shared.gateway
local worker_name, own_birth
local configuration -- the number of the configuration that this worker runs
local is_leaving, has_left = false, false

--- The id of this node, 4 characters; it survives a reload.
---@return string
function Members.node() return gateway:get("node") end

--- The name of this worker, 6 characters, never used again.
---@return string
function Members.worker() return worker_name end

--- Rises with every worker that was killed: a limit whose key holds it forgets what the dead worker counted.
---@return integer
function Members.generation() return gateway:get("generation") end

--- Runs in the master, before there are workers. What is there already has survived a reload.
function Members.init()
  gateway:add("node", Random.name(4))
  gateway:add("started", ngx.now())
  gateway:add("generation", 1)
  gateway:add("members", 0)
  configuration = gateway:incr("configurations", 1, 0)
  gateway:add("born", 0)
  gateway:add("secret", Random.name(32))
end

--- When the gateway started, and when the configuration that runs was loaded, in seconds.
---@return { started: number, loaded: number, configuration: integer }
function Members.times()
  return { started = gateway:get("started"), loaded = gateway:get("loaded"), configuration = gateway:get("running") }
end

--- The number of the configuration that this worker runs.
---@return integer
function Members.configuration() return configuration end

--- What only the workers of this node know.
---@return string
function Members.secret() return gateway:get("secret") end

--- A number that changes whenever a worker joins, begins to shut down or is gone.
---@return integer
function Members.version() return gateway:get("members") end

-- Calls visit(pid, name, joined_at) for every worker in shared memory. A key may vanish between two reads, so each is read once.
local function each(visit)
  for _, key in ipairs(gateway:get_keys(0)) do
    local pid = tonumber(key:match("^worker:(%d+)$"))
    local name, joined_at = (pid and gateway:get(key) or ""):match("^(%S+) (%d+)$")
    if name then
      visit(pid, name, tonumber(joined_at))
    end
  end
end

--- The other workers that live.
---@return { name: string, joined_at: integer, is_leaving: boolean }[]
function Members.others()
  local others = {}
  each(function(pid, name, joined_at)
    if name ~= worker_name and not Process.is_dead(pid) then
      local other_is_leaving = gateway:get("leaving:" .. name) == true
      others[#others + 1] = { name = name, joined_at = joined_at, is_leaving = other_is_leaving }
    end
  end)
  return others
end

--- The place of this worker in the order in which workers joined.
---@return integer
function Members.joined_at() return own_birth end

--- A worker joins.
function Members.join()
  worker_name, own_birth = Random.name(6), gateway:incr("born", 1)
  gateway:set("worker:" .. ngx.worker.pid(), worker_name .. " " .. own_birth)
  gateway:incr("members", 1)
  if gateway:get("running") ~= configuration then
    gateway:set("loaded", ngx.now())
    gateway:set("running", configuration)
  end
end

--- Takes the workers that were killed off the list. `add` is atomic, so exactly one worker gets each name.
---@return string[] names of those that this worker must clean up after
function Members.claim_dead()
  local names = {}
  each(function(pid, name)
    if Process.is_dead(pid) and gateway:add("settled:" .. name, true, 3600) then
      gateway:delete("worker:" .. pid)
      gateway:incr("members", 1)
      gateway:incr("generation", 1)
      names[#names + 1] = name
    end
  end)
  return names
end

--- After a reload waits until the first worker of the new configuration runs, which nginx does not.
---@param seconds number at most
function Members.await_successor(seconds)
  local deadline = ngx.now() + seconds
  while gateway:get("configurations") ~= configuration and Members.is_last_configuration() and ngx.now() < deadline do
    ngx.sleep(0.02)
  end
end

--- Whether no worker runs a later configuration than this one.
---@return boolean
function Members.is_last_configuration() return gateway:get("running") == configuration end

--- This worker shuts down: it listens no more, and serves the sockets it has.
function Members.begin_to_leave()
  is_leaving = true
  gateway:set("leaving:" .. worker_name, true)
  gateway:incr("members", 1)
end

--- Whether this worker is shutting down.
---@return boolean
function Members.is_leaving() return is_leaving end

--- This worker has nothing left to do: what arrives now is for another worker.
function Members.retire() has_left = true end

--- Whether this worker has nothing left to do.
---@return boolean
function Members.has_left() return has_left end

--- The worker exits by itself.
function Members.leave()
  gateway:delete("worker:" .. ngx.worker.pid())
  gateway:delete("leaving:" .. worker_name)
  gateway:incr("members", 1)
end

return Members
