-- Sockets on their way to another node: bytes in Redis for a minute, which are taken once. In the worker that holds the link.
-- They are cut into pieces, and do not go as a message: Redis ends the connection of a subscriber that reads slowly.

local Parcels = {}

local PIECE_BYTES = 262144
local KEPT_MS = 60000
local TAKEN_MS = 600000 -- for which it is known who has taken a socket
local NODE_LENGTH = 4

-- Where a socket is that goes from node to node stands under one key: the node that sent it and the name of the parcel, then
-- the node that sent it and the one that has taken it. So a worker that gets no answer can ask who has it.

-- KEYS: that key, the records of the node that sent it, those of this node, the pieces. ARGV: the socket, its record, the sender
-- and the name, the sender and this node, milliseconds.
local TAKE = [[
if redis.call('GET', KEYS[1]) ~= ARGV[3] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
local pieces = redis.call('MGET', unpack(KEYS, 4))
redis.call('DEL', unpack(KEYS, 4))
return pieces
]]

-- A socket that was sent and not taken goes back to the sender; its parcel cannot be taken any more.
-- KEYS: that key. ARGV: this node, whether it is the receiver. Returns the node that has it; nothing when it was not sent.
local SETTLE = [[
local sender, state, taker = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) (%S+) ?(%S*)$')
if state == 'taken' then
  return taker
elseif sender and (sender == ARGV[1] or ARGV[2] == '1') then
  redis.call('DEL', KEYS[1])
end
return sender or ''
]]

local function place_key(link, id) return link.channels:parcel(id) .. "place" end

local function keys_of(link, name, count)
  local keys = {}
  for i = 1, count do
    keys[i] = link.channels:parcel(name) .. i
  end
  return keys
end

--- Stores a parcel. Does not yield.
---@param link NodeLink
---@param args { id: string, name: string } the socket, and an unguessable name
---@param parcel string
---@param on_done fun(count: integer?) of pieces; nil when Redis may not have it; must not yield
function Parcels.put(link, args, parcel, on_done)
  local count = math.ceil(#parcel / PIECE_BYTES)
  local open, is_stored = count + 1, true
  local function stored(reply)
    open, is_stored = open - 1, is_stored and reply == "OK"
    if open == 0 then
      on_done(is_stored and count or nil)
    end
  end
  local function set(key, value)
    if not link.link:command(stored, "SET", key, value, "PX", KEPT_MS) then
      stored(nil)
    end
  end
  for i, key in ipairs(keys_of(link, args.name, count)) do
    set(key, parcel:sub((i - 1) * PIECE_BYTES + 1, i * PIECE_BYTES))
  end
  set(place_key(link, args.id), link.own .. " " .. args.name)
end

local function join(pieces)
  for i = 1, type(pieces) == "table" and #pieces or 0 do
    if type(pieces[i]) ~= "string" then
      return nil
    end
  end
  return type(pieces) == "table" and table.concat(pieces) or nil
end

--- Takes a parcel. From then on Redis knows that this node has the socket, and has its record. Does not yield.
---@param link NodeLink
---@param args { id: string, text: string, from: string, parcel: string, count: integer } the socket, its record, the holder that
--- has sent it, the name of the parcel, and how many pieces it has
---@param on_done fun(parcel: string?, is_refused: boolean) without a parcel this node has taken it or not, unless `is_refused`;
--- must not yield
function Parcels.take(link, args, on_done)
  local channels, sender = link.channels, args.from:sub(1, NODE_LENGTH)
  local keys = { place_key(link, args.id), channels:records(sender), channels:records(link.own) }
  for i, key in ipairs(keys_of(link, args.parcel, args.count)) do
    keys[3 + i] = key
  end
  local arguments = { args.id, args.text, sender .. " " .. args.parcel, sender .. " taken " .. link.own, TAKEN_MS }
  if not link.link:eval(TAKE, keys, arguments, function(pieces) on_done(join(pieces), pieces == 0) end) then
    on_done(nil, false)
  end
end

--- Learns which node has a socket that was on its way. From then on nobody can take it. Does not yield.
---@param link NodeLink
---@param args { id: string, is_receiver: boolean? } whether this node was the receiver; if not, it was the sender
---@param on_done fun(node: string?) empty when the socket was not sent; nil while Redis is away; must not yield
function Parcels.settle(link, args, on_done)
  local arguments = { link.own, args.is_receiver and "1" or "0" }
  if not link.link:eval(SETTLE, { place_key(link, args.id) }, arguments, on_done) then
    on_done(nil)
  end
end

return Parcels
