-- The names of channels and keys in Redis. All begin with CLUSTER_NAME, so that one Redis serves several clusters.

local Channels = {}
Channels.__index = Channels

Channels.BURIED_SECONDS = 86400 -- for which a node that was buried learns of it

---@class Channels
---@field all string the channel of all nodes
---@field nodes string the key of the hash with all nodes
---@field graves string the key of the hash with the nodes that died, and those that clean up after them

---@param cluster string CLUSTER_NAME
---@return Channels
function Channels.new(cluster)
  local prefix = cluster .. ":"
  local self = { prefix = prefix, all = prefix .. "all", nodes = prefix .. "nodes", graves = prefix .. "graves" }
  return setmetatable(self, Channels)
end

--- The channel of one node.
---@param id string
---@return string
function Channels:node(id) return self.prefix .. "node:" .. id end

--- The channel of a group of sockets.
---@param group string "topic:<name>" or "user:<name>"
---@return string
function Channels:group(group) return self.prefix .. group end

--- The key whose life is the lease of a node.
---@param id string
---@return string
function Channels:lease(id) return self.prefix .. "lease:" .. id end

--- The key that exists once a node was buried.
---@param id string
---@return string
function Channels:buried(id) return self.prefix .. "buried:" .. id end

--- The key of the hash with the records of a node's sockets.
---@param id string
---@return string
function Channels:records(id) return self.prefix .. "records:" .. id end

--- The key of the hash with the facts of a kept topic.
---@param topic string
---@return string
function Channels:facts(topic) return self.prefix .. "facts:" .. topic end

--- The key of the stream with the frames of a kept topic.
---@param topic string
---@return string
function Channels:stream(topic) return self.prefix .. "stream:" .. topic end

--- The key that exists once the frame of a request was stored.
---@param id string of the request
---@return string
function Channels:kept(id) return self.prefix .. "kept:" .. id end

--- The beginning of the keys that hold the slots of a timer.
---@param name string
---@return string
function Channels:timer(name) return self.prefix .. "timer:" .. name .. ":" end

--- The beginning of the keys that hold the pieces of a parcel.
---@param name string
---@return string
function Channels:parcel(name) return self.prefix .. "parcel:" .. name .. ":" end

--- The key that holds the node of a first handshake.
---@param nonce string
---@return string
function Channels:nonce(nonce) return self.prefix .. "nonce:" .. nonce end

return Channels
