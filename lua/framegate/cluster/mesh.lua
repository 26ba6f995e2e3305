-- The workers of this gateway, each linked with each. Workers reach one another over a loopback listener on which each of
-- them has a socket of its own (reuseport): a dial ends at any of them, so a worker dials until everybody is reached. Of
-- two workers the younger dials; one that is leaving listens no more, so it dials those it does not know. Who lives stands
-- in members.lua. A link begins with a secret of shared memory. bus.lua says what travels over links.

local Log = require "framegate.runtime.log"
local Members = require "framegate.cluster.members"
local Config = require "framegate.config"
local Task = require "framegate.runtime.task"
local Link = require "framegate.cluster.link"
local Secret = require "framegate.runtime.secret"

local Mesh = {}

local DIAL_MS = 1000
local COMPLETE_SECONDS = 2

local links = {} -- by name of the other worker
local known_members -- Members.version() when last everybody was linked
local is_stopped = false
local bus -- receive(link, head, payload) and lose(link)

local mend

local function lose(link)
  if links[link.name] == link then
    links[link.name] = nil
  end
  known_members = nil
  bus.lose(link)
  mend()
end

local function tell_others(new)
  for _, link in pairs(links) do
    if link ~= new then
      link:request({ op = "look", args = {} }, "")
    end
  end
end

local function serve(link)
  if is_stopped then -- meanwhile; a link would keep the worker alive
    links[link.name] = nil
    return
  end
  links[link.name] = link
  tell_others(link)
  link:run(bus.receive)
  lose(link)
end

-- Whose part it is to dial: the younger's, unless the older is leaving.
local function is_mine(other)
  local is_younger = other.joined_at < Members.joined_at()
  if Members.is_leaving() then
    return not other.is_leaving
  end
  return is_younger and not other.is_leaving
end

local function missing()
  local mine, all = 0, 0
  for _, other in ipairs(Members.others()) do
    if not links[other.name] then
      all = all + 1
      if is_mine(other) then
        mine = mine + 1
      end
    end
  end
  return mine, all
end

--- Takes the link of another worker: the content phase of the mesh listener.
function Mesh.accept()
  local socket = assert(ngx.req.socket(true))
  socket:settimeouts(1000, 5000, 5000)
  local secret, name, born, is_going = (socket:receive("*l") or ""):match("^(%S+) (%S+) (%d+) (%d)$")
  if not secret or not Secret.is_same(secret, Members.secret()) then
    Log.warn(nil, "somebody who does not know the secret tried to join the mesh of workers")
    return
  end
  local may_dial = tonumber(born) > Members.joined_at() or is_going == "1"
  local link = may_dial and not links[name] and Link.new(name, socket)
  if link then
    links[name] = link -- before the answer, so that a second dial finds it
  end
  socket:send((link and "welcome " or "known ") .. Members.worker() .. "\n")
  if link then
    serve(link)
  end
end

local function dial()
  local socket = ngx.socket.tcp()
  socket:settimeouts(DIAL_MS, DIAL_MS, DIAL_MS)
  if not socket:connect("127.0.0.1", Config.mesh_port) then
    return
  end
  -- nginx begins with the headers of a request; then the stream is the workers' own.
  socket:send(
    "GET / HTTP/1.1\r\nHost: mesh\r\n\r\n"
      .. Members.secret()
      .. " "
      .. Members.worker()
      .. " "
      .. Members.joined_at()
      .. (Members.is_leaving() and " 1" or " 0")
      .. "\n"
  )
  local word, name = (socket:receive("*l") or ""):match("^(%S+) (%S+)$")
  if word ~= "welcome" then
    return socket:close()
  end
  serve(Link.new(name, socket))
end

local mending = Task.new("linking the workers", function()
  local dials = 0
  while true do
    if is_stopped or missing() == 0 then
      return
    end
    dials = dials + (ngx.timer.at(0, dial) and 1 or 0)
    ngx.sleep(dials < 100 and 0.005 or 0.1)
  end
end)

--- Links this worker with those that it is not linked with. Returns at once.
function mend()
  if not is_stopped then
    mending:begin()
  end
end

--- Waits until everybody who lives is linked: a push right after a start or a crash reaches all.
function Mesh.await_everybody()
  local members = Members.version()
  if members == known_members then
    return
  end
  local deadline = ngx.now() + COMPLETE_SECONDS
  while true do
    local _, all = missing()
    if all == 0 or ngx.now() > deadline then
      known_members = all == 0 and members or nil
      return
    end
    mend()
    ngx.sleep(0.005)
    members = Members.version()
  end
end

--- Whether everybody who lives was linked when last looked, and nobody came or went since.
---@return boolean
function Mesh.is_complete() return Members.version() == known_members end

--- By name of the other worker.
---@return table<string, Link>
function Mesh.links() return links end

--- Begins to link this worker with the others.
---@param users { receive: fun(link: Link, head: table, payload: string), lose: fun(link: Link) }
function Mesh.start(users)
  bus = users
  mend()
end

--- Somebody new was linked elsewhere: perhaps it is this worker's part to dial.
function Mesh.look() mend() end

--- The worker was told to go.
function Mesh.begin_to_leave()
  Members.begin_to_leave()
  mend()
end

--- The worker has nothing left to do: links would keep it alive.
function Mesh.stop()
  is_stopped = true
  for _, link in pairs(links) do
    link:stop()
  end
end

--- How many other workers are linked, and how many should be.
---@return { linked: integer, missing: integer }
function Mesh.state()
  local linked = 0
  for _ in pairs(links) do
    linked = linked + 1
  end
  local _, all = missing()
  return { linked = linked, missing = all }
end

return Mesh
