-- The workers of this node, each linked with each: the bus's driver within one machine. Workers reach one another over a
-- loopback listener on which each of them has a socket of its own (reuseport): a dial ends at any of them, so a worker
-- dials until everybody is reached. Of two workers the younger dials; one that is shutting down listens no more, so it
-- dials those it does not know. Who lives stands in members.lua; mesh_listener.lua takes the dials of others.

local cjson = require "cjson.safe"
local Clock = require "framegate.runtime.clock"
local Link = require "framegate.cluster.link"
local Log = require "framegate.runtime.log"
local Task = require "framegate.runtime.task"

---@class Mesh : BusDriver
local Mesh = {}
Mesh.__index = Mesh

local DIAL_MS = 1000
local COMPLETE_SECONDS = 2

-- Somebody was linked: whoever hears it looks whether it is its own part to dial.
local SCAN = "scan"
local SCAN_HEAD = cjson.encode { op = SCAN, args = {} }

---@param parts { members: Members, port: integer }
---@return Mesh
function Mesh.new(parts)
  local self = setmetatable({
    members = parts.members,
    port = parts.port,
    links = {}, -- by name of the other worker
    known_version = nil, -- members:version() when last everybody was linked
    has_stopped = false,
  }, Mesh)
  self.reconnecting = Task.new("linking the workers", function() self:dial_missing() end)
  return self
end

local function reconnect(self)
  if not self.has_stopped then
    self.reconnecting:begin()
  end
end

local function on_link_lost(self, link)
  if self.links[link.name] == link then
    self.links[link.name] = nil
  end
  self.known_version = nil
  self.events.on_lost(link.name)
  reconnect(self)
end

local function tell_others(self, new)
  for _, link in pairs(self.links) do
    if link ~= new then
      link:send(SCAN_HEAD, "")
    end
  end
end

--- Serves a link until it ends.
---@param link Link
function Mesh:serve(link)
  if self.has_stopped then -- meanwhile; a link would keep the worker alive
    self.links[link.name] = nil
    return
  end
  self.links[link.name] = link
  tell_others(self, link)
  link:run(function(name, head, payload)
    if head.op == SCAN then
      return reconnect(self)
    end
    return self.events.on_message(name, head, payload)
  end)
  on_link_lost(self, link)
end

--- Whether it is this worker's part to dial another one: the younger's, unless the older is shutting down.
---@param other Member
---@return boolean
function Mesh:should_dial(other)
  if other.is_leaving then
    return false
  end
  return self.members:is_leaving() or other.joined_at < self.members:joined_at()
end

-- How many are not linked, and how many of them this worker should dial.
local function missing(self)
  local all, own = 0, 0
  for _, other in ipairs(self.members:others()) do
    if not self.links[other.name] and self.members:is_alive(other) then
      all = all + 1
      own = own + (self:should_dial(other) and 1 or 0)
    end
  end
  return all, own
end

--- Admits a worker that has dialled this one.
---@param caller { name: string, joined_at: integer, is_leaving: boolean }
---@param socket table of its request
---@return Link? link nil when it is linked already, or when it is not its part to dial
function Mesh:admit(caller, socket)
  local may_dial = caller.is_leaving or caller.joined_at > self.members:joined_at()
  if not may_dial or self.links[caller.name] then
    return nil
  end
  local link = Link.new(caller.name, socket)
  self.links[caller.name] = link -- before the answer, so that a second dial finds it
  return link
end

-- nginx begins with the headers of a request; then the stream is the workers' own.
local function greeting(members)
  return ("GET / HTTP/1.1\r\nHost: mesh\r\n\r\n%s %s %d %d\n"):format(
    members:secret(),
    members:worker(),
    members:joined_at(),
    members:is_leaving() and 1 or 0
  )
end

local dial = Log.caught("a dial to another worker", function(_, self)
  local socket = ngx.socket.tcp()
  socket:settimeouts(DIAL_MS, DIAL_MS, DIAL_MS)
  if not socket:connect("127.0.0.1", self.port) then
    return
  end
  socket:send(greeting(self.members))
  local word, name = (socket:receive("*l") or ""):match("^(%S+) (%S+)$")
  if word ~= "welcome" then
    return socket:close()
  end
  self:serve(Link.new(name, socket))
end)

--- Dials until this worker is linked with all whom it should dial.
---@private
function Mesh:dial_missing()
  local dials = 0
  while not self.has_stopped and select(2, missing(self)) > 0 do
    dials = dials + (ngx.timer.at(0, dial, self) and 1 or 0)
    ngx.sleep(dials < 100 and 0.005 or 0.1)
  end
end

--- Begins to link this worker with the others.
---@param events BusEvents
function Mesh:start(events)
  self.events = events
  reconnect(self)
end

---@return table<string, Link> by name of the other worker
function Mesh:peers() return self.links end

---@param name string
---@param head table
---@param payload string
---@return boolean
function Mesh:send(name, head, payload)
  local link = self.links[name]
  return link ~= nil and link:send(cjson.encode(head), payload)
end

---@param head table
---@param payload string
function Mesh:send_all(head, payload)
  local text = cjson.encode(head)
  for _, link in pairs(self.links) do
    link:send(text, payload)
  end
end

--- Waits until everybody who lives is linked, for 2 s at most: a push right after a start or a crash reaches all.
function Mesh:await_complete()
  local version = self.members:version()
  if version == self.known_version then
    return
  end
  local deadline = Clock.monotonic() + COMPLETE_SECONDS
  while true do
    local count = missing(self)
    if count == 0 or Clock.monotonic() > deadline then
      self.known_version = count == 0 and version or nil
      return
    end
    reconnect(self)
    ngx.sleep(0.005)
    version = self.members:version()
  end
end

---@return boolean
function Mesh:is_complete() return self.members:version() == self.known_version end

--- The worker is shutting down: from now on it dials all whom it does not know.
function Mesh:begin_to_leave()
  self.members:begin_to_leave()
  reconnect(self)
end

--- The worker has nothing left to do: links would keep it alive.
function Mesh:stop()
  self.has_stopped = true
  for _, link in pairs(self.links) do
    link:stop()
  end
end

--- How many other workers are linked, and how many should be.
---@return { linked: integer, missing: integer }
function Mesh:state()
  local linked = 0
  for _ in pairs(self.links) do
    linked = linked + 1
  end
  return { linked = linked, missing = (missing(self)) }
end

return Mesh
