-- The workers of this node, each linked with each: the bus's driver within one machine. Workers reach one another over a
-- loopback listener on which each of them has a socket of its own (reuseport): a dial ends at any of them, so a worker
-- dials until everybody is reached. Of two workers the younger dials; one that is shutting down listens no more, so it
-- dials those it does not know. Two that are both shutting down have a route over a third. Who lives stands in members.lua;
-- dialer.lua dials, and mesh_listener.lua takes the dials of others.

local cjson = require "cjson.safe"
local Clock = require "framegate.runtime.clock"
local Dialer = require "framegate.cluster.dialer"
local Link = require "framegate.cluster.link"
local Route = require "framegate.cluster.route"

---@class Mesh : BusDriver
local Mesh = {}
Mesh.__index = Mesh

local COMPLETE_SECONDS = 5 -- that somebody waits until all are linked

-- {op = "scan", args = {version}}: somebody came or went.
local SCAN = "scan"

---@param parts { members: Members, port: integer }
---@return Mesh
function Mesh.new(parts)
  local self = setmetatable({
    members = parts.members,
    links = {}, -- and routes, by name of the other worker
    known_version = nil, -- members:version() when last everybody was linked
    heard_version = 0, -- the last of which links brought news, or were given some
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
  for name, other in pairs(self.links) do
    if other == link or other.via == link then
      lose(self, name)
    end
  end
  self.dialer:look()
end

-- Each worker gives each piece of news on once.
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
  self.dialer:look()
end

-- A message for this worker, or for one that cannot be linked with the worker that sent it.
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
  if self.has_stopped then -- meanwhile; a link would keep the worker alive
    self.links[link.name] = nil
    return
  end
  self.links[link.name] = link
  spread_news(self)
  link:run(function(head, payload) return on_message(self, link, head, payload) end)
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

--- How many workers that live are not linked, and how many of them this worker should dial.
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

--- Makes routes to those who cannot be linked, and forgets those of workers that have gone.
function Mesh:update_routes()
  for _, name in ipairs(Route.update(self.links, self.members)) do
    lose(self, name)
  end
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

--- Begins to link this worker with the others.
---@param events BusEvents
function Mesh:start(events)
  self.events = events
  self.dialer:start()
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

--- Waits until everybody who lives is linked: a push right after a start or a crash reaches all.
---@return boolean is_complete false when somebody was not linked within 5 s
function Mesh:await_complete()
  local deadline = Clock.monotonic() + COMPLETE_SECONDS
  while not self:is_complete() do
    local version = self.members:version()
    if self:missing().all == 0 then
      self.known_version = version
    elseif self.has_stopped or Clock.monotonic() > deadline then
      return false
    else
      self.dialer:look()
      ngx.sleep(0.005)
    end
  end
  return true
end

---@return boolean
function Mesh:is_complete() return self.members:version() == self.known_version end

--- The worker is shutting down: from now on it dials all whom it does not know.
function Mesh:begin_to_leave()
  self.members:begin_to_leave()
  self.dialer:look()
end

--- Whether somebody listens for links (Dialer:has_listener).
---@return boolean
function Mesh:has_listener() return self.dialer:has_listener() end

--- The worker has nothing left to do: links would keep it alive.
function Mesh:stop()
  self.has_stopped = true
  self.dialer:stop()
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
  return { linked = linked, missing = self:missing().all }
end

return Mesh
