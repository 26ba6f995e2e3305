-- The bus driver within one machine: links each worker of this node with every other.
-- nginx has no channel between its workers, so they connect over a loopback port.
--
-- Every worker has a listening socket of its own on that port (reuseport).
-- The kernel chooses which one a dial reaches, so a worker dials until all are linked.
-- Of two workers the younger one dials. A worker that is shutting down does not listen any more, so it dials every
-- worker it has no link with. Two workers that both shut down use a route through a third (route.lua).
-- members.lua lists the workers, dialer.lua dials, and mesh_listener.lua accepts the dials of others.

local cjson = require "cjson.safe"
local Clock = require "framegate.runtime.clock"
local Dialer = require "framegate.cluster.dialer"
local Link = require "framegate.cluster.link"
local Route = require "framegate.cluster.route"

---@class Mesh : BusDriver
local Mesh = {}
Mesh.__index = Mesh

local COMPLETE_SECONDS = 5 -- how long a caller waits until all are linked

-- {op = "scan", args = {version}}: a worker joined or left.
local SCAN = "scan"

---@param parts { members: Members, port: integer }
---@return Mesh
function Mesh.new(parts)
  local self = setmetatable({
    members = parts.members,
    links = {}, -- links and routes that messages take, by name of the other worker
    served = {}, -- all links: two workers that dial each other at the same time have two
    known_version = nil, -- members:version() when all were last linked
    heard_version = 0, -- the last version that was received or sent as news
    has_stopped = false,
  }, Mesh)
  self.dialer = Dialer.new {
    members = parts.members,
    port = parts.port,
    has_to_dial = function()
      self:update_routes()
      return self:missing().own > 0
    end,
    on_link = function(link) self:serve(link) end,
  }
  return self
end

local function lose(self, name)
  self.links[name], self.known_version = nil, nil
  self.events.on_lost(name)
end

local function on_link_lost(self, link)
  self.served[link] = nil
  for name, other in pairs(self.links) do
    if other == link or other.via == link then
      lose(self, name)
    end
  end
  for other in pairs(self.served) do
    self.links[other.name] = self.links[other.name] or other
  end
  self.dialer:scan()
end

-- Each worker passes each piece of news on once.
local function spread_news(self)
  local version = self.members:version()
  if version <= self.heard_version then
    return
  end
  self.heard_version = version
  self:send_all({ op = SCAN, args = { version = version } }, "")
end

local function on_news(self, version)
  self.heard_version = math.max(self.heard_version, version)
  self.dialer:scan()
end

-- Handles a message that came over a route: it is for this worker, or for another that this one passes it on to.
local function on_relay(self, link, relay, payload)
  if relay.to ~= self.members:worker() then
    local next_link = self.links[relay.to]
    return next_link and next_link:send(cjson.encode { op = Route.RELAY, args = relay }, payload)
  end
  self.links[relay.from] = self.links[relay.from] or Route.new(relay.from, link, relay.to)
  return self.events.on_message(relay.from, relay.head, payload)
end

local function on_message(self, link, head, payload)
  if head.op == SCAN then
    return on_news(self, head.args.version)
  elseif head.op == Route.RELAY then
    return on_relay(self, link, head.args, payload)
  end
  return self.events.on_message(link.name, head, payload)
end

--- Serves a link until it ends.
---@param link Link
function Mesh:serve(link)
  if self.has_stopped then -- since the dial began; a link would keep the worker alive
    return
  end
  self.served[link] = true
  local known = self.links[link.name]
  if not known or known.via then
    self.links[link.name] = link
  end
  spread_news(self)
  link:run(function(head, payload) return on_message(self, link, head, payload) end)
  on_link_lost(self, link)
end

--- Whether this worker must dial another one. The younger of two dials, unless the older one is shutting down.
---@param other Member
---@return boolean
function Mesh:should_dial(other)
  if other.is_leaving then
    return false
  end
  return self.members:is_leaving() or other.joined_at < self.members:joined_at()
end

--- How many living workers are not linked, and how many of them this worker should dial.
---@return { all: integer, own: integer }
function Mesh:missing()
  local all, own = 0, 0
  for _, other in ipairs(self.members:others()) do
    if not self.links[other.name] and self.members:is_alive(other) then
      all = all + 1
      own = own + (self:should_dial(other) and 1 or 0)
    end
  end
  return { all = all, own = own }
end

--- Adds routes to workers that cannot be linked, and removes those of workers that have gone.
function Mesh:update_routes()
  for _, name in ipairs(Route.update(self.links, self.members)) do
    lose(self, name)
  end
end

--- Accepts the link of a worker that has dialled this one.
---@param caller { name: string, joined_at: integer, is_leaving: boolean }
---@param socket table of its request
---@return Link? link nil when the caller is linked already, or should not dial
function Mesh:admit(caller, socket)
  local may_dial = caller.is_leaving or caller.joined_at > self.members:joined_at()
  if not may_dial or self.links[caller.name] then
    return nil
  end
  local link = Link.new(caller.name, socket)
  self.links[caller.name] = link -- before the reply is sent, so that a second dial finds it
  return link
end

--- Begins to link this worker with the others. Does not yield.
---@param events BusEvents
function Mesh:start(events)
  self.events = events
  self.dialer:start()
end

--- The links and routes of this worker; read-only.
---@return table<string, Link|Route> by name of the other worker
function Mesh:peers() return self.links end

--- Sends a message to one worker. Does not yield.
---@param name string of the worker
---@param head table
---@param payload string
---@return boolean is_queued false when the worker cannot be reached
function Mesh:send(name, head, payload)
  local link = self.links[name]
  return link ~= nil and link:send(cjson.encode(head), payload)
end

--- Sends a message to every linked worker. Does not yield.
---@param head table
---@param payload string
function Mesh:send_all(head, payload)
  local text = cjson.encode(head)
  for _, link in pairs(self.links) do
    link:send(text, payload)
  end
end

--- Waits until every living worker is linked, so that a push right after a start or a crash reaches all.
---@return boolean is_complete false when a worker was not linked within 5 s
function Mesh:await_complete()
  local deadline = Clock.monotonic() + COMPLETE_SECONDS
  while not self:is_complete() do
    local version = self.members:version()
    if self:missing().all == 0 then
      self.known_version = version
    elseif self.has_stopped or Clock.monotonic() > deadline then
      return false
    else
      self.dialer:scan()
      ngx.sleep(0.005)
    end
  end
  return true
end

--- Whether every living worker is linked, as far as is known without waiting.
---@return boolean
function Mesh:is_complete() return self.members:version() == self.known_version end

--- Marks this worker as shutting down: from now on it dials every worker it has no link with.
function Mesh:begin_to_leave()
  self.members:begin_to_leave()
  self.dialer:scan()
end

--- Whether the mesh port is open (see Dialer:has_listener).
---@return boolean
function Mesh:has_listener() return self.dialer:has_listener() end

--- Ends all links: they would keep alive a worker that has nothing left to do.
function Mesh:stop()
  self.has_stopped = true
  self.dialer:stop()
  for link in pairs(self.served) do
    link:stop()
  end
end

--- How many other workers are linked, and how many should be but are not.
---@return { linked: integer, missing: integer }
function Mesh:state()
  local linked = 0
  for _ in pairs(self.links) do
    linked = linked + 1
  end
  return { linked = linked, missing = self:missing().all }
end

return Mesh
