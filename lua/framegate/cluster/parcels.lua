-- Sockets on their way to another node: bytes in Redis for a minute, which are taken once. In the worker that holds the link.
-- They are cut into pieces, and do not go as a message: Redis ends the connection of a subscriber that reads slowly.

local Parcels = {}

local PIECE_BYTES = 262144
local KEPT_MS = 60000

-- KEYS: the pieces. Returns and removes them; nothing when one is missing.
local TAKE = [[
local pieces = redis.call('MGET', unpack(KEYS))
redis.call('DEL', unpack(KEYS))
return pieces
]]

local function keys_of(link, name, count)
  local keys = {}
  for i = 1, count do
    keys[i] = link.channels:parcel(name) .. i
  end
  return keys
end

--- Stores a parcel. Does not yield.
---@param link { link: RedisLink, channels: Channels }
---@param name string unguessable
---@param parcel string
---@param on_done fun(count: integer?) of pieces; nil when Redis does not have it; must not yield
function Parcels.put(link, name, parcel, on_done)
  local count = math.ceil(#parcel / PIECE_BYTES)
  local open, is_stored = count, true
  local function stored(reply)
    open, is_stored = open - 1, is_stored and reply == "OK"
    if open == 0 then
      on_done(is_stored and count or nil)
    end
  end
  for i, key in ipairs(keys_of(link, name, count)) do
    local piece = parcel:sub((i - 1) * PIECE_BYTES + 1, i * PIECE_BYTES)
    if not link.link:command(stored, "SET", key, piece, "PX", KEPT_MS) then
      stored(nil)
    end
  end
end

local function join(pieces)
  for i = 1, type(pieces) == "table" and #pieces or 0 do
    if type(pieces[i]) ~= "string" then
      return nil
    end
  end
  return type(pieces) == "table" and table.concat(pieces) or nil
end

--- Takes a parcel. Does not yield.
---@param link { link: RedisLink, channels: Channels }
---@param name string
---@param count integer of pieces
---@param on_done fun(parcel: string?) nil when Redis does not have it; must not yield
function Parcels.take(link, name, count, on_done)
  local is_sent = link.link:eval(TAKE, keys_of(link, name, count), {}, function(pieces) on_done(join(pieces)) end)
  if not is_sent then
    on_done(nil)
  end
end

return Parcels
