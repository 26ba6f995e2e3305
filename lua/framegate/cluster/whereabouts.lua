-- Finds sockets and sessions in the cluster, by what Redis knows. In the worker that holds the link.

local Whereabouts = {}

local NONCE_MS = 120000 -- for which the node of a first handshake is known

-- KEYS: the records of all nodes. ARGV: a socket. Returns which of the nodes has its record, or 0.
local FIND = [[
for i, key in ipairs(KEYS) do
  if redis.call('HEXISTS', key, ARGV[1]) == 1 then
    return i
  end
end
return 0
]]

-- KEYS: a nonce. ARGV: this node, milliseconds. Returns the node that has claimed it before, or an empty string.
local CLAIM = [[
local node = redis.call('GET', KEYS[1])
if not node then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return node or ''
]]

--- Finds the node that holds a socket. Does not yield.
---@param link NodeLink
---@param id string
---@param on_done fun(node: string?, is_away: boolean?) must not yield
function Whereabouts.find(link, id, on_done)
  local nodes, keys = { link.own }, { link.channels:records(link.own) }
  for _, neighbour in ipairs(link.roster:all()) do
    nodes[#nodes + 1] = neighbour.id
    keys[#keys + 1] = link.channels:records(neighbour.id)
  end
  local is_sent = link.link:eval(FIND, keys, { id }, function(place) on_done(nodes[place], place == nil) end)
  if not is_sent then
    on_done(nil, true)
  end
end

--- Claims the nonce of a first handshake for this node. Does not yield.
---@param link NodeLink
---@param nonce string
---@param on_done fun(node: string?) that has claimed it before, perhaps this one; empty when none has; nil while Redis is away;
--- must not yield
function Whereabouts.claim(link, nonce, on_done)
  local is_sent = link.link:eval(CLAIM, { link.channels:nonce(nonce) }, { link.own, NONCE_MS }, on_done)
  if not is_sent then
    on_done(nil)
  end
end

return Whereabouts
