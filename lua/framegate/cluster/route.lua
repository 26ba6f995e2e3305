-- A route to a worker that cannot be linked; it is used like a link.
-- Two workers that both shut down do not listen any more, so neither can dial the other.
-- A third worker, which is linked with both, passes their messages on.

local cjson = require "cjson.safe"

---@class Route
---@field name string of the worker at the other end
---@field via Link to the worker that passes messages on
local Route = {}
Route.__index = Route

--- {op = "relay", args = {to, from, head}}: goes to the worker that passes it on, and from there to `to`.
Route.RELAY = "relay"

---@param name string
---@param via Link
---@param own_name string of this worker
---@return Route
function Route.new(name, via, own_name)
  local prefix = '{"op":"%s","args":{"to":%s,"from":%s,"head":'
  return setmetatable({
    name = name,
    via = via,
    prefix = prefix:format(Route.RELAY, cjson.encode(name), cjson.encode(own_name)),
  }, Route)
end

--- Queues a message, as Link:send does.
---@param head string JSON
---@param payload string
---@return boolean is_queued false when the link to the relaying worker has ended
function Route:send(head, payload) return self.via:send(self.prefix .. head .. "}}", payload) end

-- The link to a serving worker, since those are linked with all others.
local function relaying_link(links, others)
  for _, other in ipairs(others) do
    local link = links[other.name]
    if link and not link.via and not other.is_leaving then
      return link
    end
  end
end

--- Adds routes to workers that cannot be linked, when this worker is shutting down.
---@param links table<string, Link|Route> of this worker, by name of the other
---@param members Members
---@return string[] names of workers that have gone, whose routes must be removed
function Route.update(links, members)
  local others, living, lost = members:others(), {}, {}
  for _, other in ipairs(members:is_leaving() and others or {}) do
    local link = links[other.name]
    living[other.name] = members:is_alive(other)
    if other.is_leaving and not link and living[other.name] then
      local via = relaying_link(links, others)
      links[other.name] = via and Route.new(other.name, via, members:worker())
    end
  end
  for name, link in pairs(links) do
    if link.via and not living[name] then
      lost[#lost + 1] = name
    end
  end
  return lost
end

return Route
