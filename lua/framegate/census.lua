-- Which workers live and which sockets they hold, in shared memory, so that what a killed worker leaves behind is
-- put in order: limit_conn forgets its sockets, and their close events are delivered by another worker.

local CloseCode = require "framegate.close_code"
local Counters = require "framegate.counters"
local Dispatch = require "framegate.dispatch"
local Event = require "framegate.event"
local Journal = require "framegate.journal"
local Percent = require "framegate.percent"
local Process = require "framegate.process"
local Random = require "framegate.random"

local Census = {}

local gateway, sockets = ngx.shared.gateway, ngx.shared.sockets
local worker_name, own_birth
local configuration -- the number of the configuration that this worker runs
local is_full = false
local WORKERS_KILLED = Counters.place "framegate_workers_killed_total"

--- The name of this gateway; it survives a reload.
---@return string
function Census.node() return gateway:get("node") end

--- The name of this worker, never used again.
---@return string
function Census.worker() return worker_name end

--- The key under which limit_conn counts: the address (of an IPv6 client its /64) and the generation.
---@return string
function Census.limit_key()
  local address = ngx.var.binary_remote_addr
  if #address == 16 then
    address = address:sub(1, 8)
  end
  return address .. gateway:get("generation")
end

--- Keeps what a close event needs. None of it but the handshake, which is last, holds the end of a line.
---@param connection Connection
function Census.remember(connection)
  local record = ("%.3f\n%s\n%s\n%s"):format(
    connection.opened,
    connection.state or "",
    connection.path,
    connection.handshake
  )
  local ok, err = sockets:safe_set(connection.id, record)
  if not ok and not is_full then
    is_full = true
    ngx.log(ngx.WARN, "[gateway] ", connection.id, ": cannot be kept for the case that this worker is killed: ", err)
  end
end

--- The close event was answered.
---@param connection { id: string }
function Census.forget(connection)
  sockets:delete(connection.id)
  is_full = false
end

local function farewell(remains, _, answer)
  Census.farewell(remains.id, answer)
  Census.forget(remains)
end

local KILLED = "the worker that held the socket was killed"

-- What is left of a socket whose worker was killed: enough to say that it is gone.
local function announce_end(id, record)
  local opened, state, path, handshake = record:match("^([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$")
  local remains = {
    id = id,
    path = path,
    handshake = handshake,
    opened = tonumber(opened),
    close_reason = KILLED,
    state = state ~= "" and state or nil,
    answered = farewell,
  }
  Journal.killed(remains)
  Dispatch.submit(Event.close(remains, {
    code = CloseCode.ABNORMAL,
    reason = Percent.encode(KILLED),
    duration = math.floor((ngx.now() - remains.opened) * 1000 + 0.5),
  }))
end

local function settle(name)
  Counters.count(WORKERS_KILLED)
  gateway:incr("members", 1)
  gateway:incr("generation", 1)
  local prefix, count = Census.node() .. name, 0
  for _, id in ipairs(sockets:get_keys(0)) do
    local record = id:sub(1, #prefix) == prefix and sockets:get(id)
    if record then
      count = count + 1
      announce_end(id, record)
    end
  end
  ngx.log(ngx.WARN, "[gateway] a worker was killed; close events of its ", count, " sockets are on their way")
end

local function look(premature)
  if premature then
    return
  end
  for _, key in ipairs(gateway:get_keys(0)) do
    local pid = tonumber(key:match("^worker:(%d+)$"))
    local name = pid and Process.is_dead(pid) and gateway:get(key):match("^%S+")
    -- Whoever takes the name settles the matter; the others find nothing.
    if name and gateway:add("settled:" .. name, true, 3600) then
      gateway:delete(key)
      settle(name)
    end
  end
end

--- Runs in the master, before there are workers. What is there already has survived a reload.
function Census.found()
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
function Census.times()
  return { started = gateway:get("started"), loaded = gateway:get("loaded"), configuration = gateway:get("running") }
end

--- The number of the configuration that this worker runs.
---@return integer
function Census.configuration() return configuration end

--- What only the workers of this gateway know.
---@return string
function Census.secret() return gateway:get("secret") end

--- Changes whenever a worker comes, begins to leave or is gone.
---@return integer
function Census.members() return gateway:get("members") end

--- The other workers that live.
---@return { name: string, born: integer, is_leaving: boolean }[]
function Census.others()
  local others = {}
  for _, key in ipairs(gateway:get_keys(0)) do
    local pid = tonumber(key:match("^worker:(%d+)$"))
    local name, born = (pid and gateway:get(key) or ""):match("^(%S+) (%d+)$")
    if name and name ~= worker_name and not Process.is_dead(pid) then
      others[#others + 1] = { name = name, born = tonumber(born), is_leaving = gateway:get("leaving:" .. name) == true }
    end
  end
  return others
end

--- When this worker was born, in the order of births.
---@return integer
function Census.born() return own_birth end

--- A worker begins. One that was killed is noticed by its successor, or within 10 s.
---@param carry_out fun(id: string, answer: Answer) for the answer to the close event of a socket of such a worker
function Census.join(carry_out)
  Census.farewell = carry_out
  worker_name, own_birth = Random.name(6), gateway:incr("born", 1)
  gateway:set("worker:" .. ngx.worker.pid(), worker_name .. " " .. own_birth)
  gateway:incr("members", 1)
  if gateway:get("running") ~= configuration then
    gateway:set("loaded", ngx.now())
    gateway:set("running", configuration)
  end
  ngx.timer.at(0, look)
  ngx.timer.every(10, look)
end

--- After a reload waits until the first worker of the new configuration runs, which nginx does not.
---@param seconds number at most
function Census.await_successor(seconds)
  local deadline = ngx.now() + seconds
  while
    gateway:get("configurations") ~= configuration
    and gateway:get("running") == configuration
    and ngx.now() < deadline
  do
    ngx.sleep(0.02)
  end
end

--- Whether no worker runs a later configuration than this one.
---@return boolean
function Census.is_last_configuration() return gateway:get("running") == configuration end

--- The worker was told to go: it listens no more, and serves the sockets it has.
function Census.begin_to_leave()
  gateway:set("leaving:" .. worker_name, true)
  gateway:incr("members", 1)
end

--- The worker ends of its own accord.
function Census.leave()
  gateway:delete("worker:" .. ngx.worker.pid())
  gateway:delete("leaving:" .. worker_name)
  gateway:incr("members", 1)
end

return Census
