-- Where sockets are that have a session, in shared memory of all workers: the socket of each token or nonce, and the worker
-- of each socket that has moved. The id of a socket names the worker that opened it.

local Log = require "framegate.runtime.log"

local Places = {}

local dict = ngx.shared.sessions
local NODE, HOLDER = 4, 10 -- characters of an id that name the node; node and worker
local ELSEWHERE_SECONDS = 3600 -- for which this node knows where a socket went; then its record in Redis shows it
local MOVE_SECONDS = 3600 -- longer than a worker stands still
local VOID_SECONDS = 5 -- longer than a worker needs from reading a key to removing it
Places.NOBODY = "------" -- in place of a worker's name: one of them will have the socket soon
local OPENING = "opening " -- before the id of a socket whose handler has not answered yet

local is_full = false

local function put(key, value, seconds)
  local ok, err = dict:safe_set(key, value, seconds)
  if not ok and not is_full then
    is_full = true
    Log.warn(nil, "there is no room for another session: ", err)
  end
  return ok == true
end

--- Makes a token or nonce the key of a socket.
---@param key string
---@param id string
---@param seconds number for which it is known
---@return boolean ok false when there is no room
function Places.set_key(key, id, seconds) return put("k:" .. key, id, seconds) end

--- Keeps a key known for another while.
---@param key string
---@param seconds number
function Places.refresh_key(key, seconds) dict:expire("k:" .. key, seconds) end

--- Claims a nonce for a socket that is about to be opened.
---@param key string
---@param id string
---@param seconds number until the claim is void
---@return boolean is_first false when another handshake has it, or when there is no room
function Places.claim_key(key, id, seconds)
  local ok = dict:safe_add("k:" .. key, OPENING .. id, seconds)
  return ok == true
end

--- Gives up a claim, unless the key has become that of a session.
---@param key string
---@param id string with which it was claimed
function Places.release_key(key, id)
  if dict:get("k:" .. key) == OPENING .. id then
    Places.remove_key(key)
  end
end

--- Makes the key of a socket unknown that nobody will have again. Does so once: another handshake may claim the key then.
---@param key string
---@param id string
function Places.void_key(key, id)
  local _, err = dict:safe_add("v:" .. key .. id, true, VOID_SECONDS)
  if err ~= "exists" then
    Places.remove_key(key)
  end
end

--- The socket of a token or nonce.
---@param key string
---@return string? id nil when the key is unknown
---@return boolean? is_opening whether its handler has not answered yet
function Places.of_key(key)
  local value = dict:get("k:" .. key)
  if value and value:sub(1, #OPENING) == OPENING then
    return value:sub(#OPENING + 1), true
  end
  return value
end

--- Makes a key unknown.
---@param key string
function Places.remove_key(key)
  dict:delete("k:" .. key)
  is_full = false
end

--- Notes that the socket of a token was closed, so that its client need not come back.
---@param key string
---@param seconds number for which it is known
function Places.set_closed(key, seconds) put("c:" .. key, true, seconds) end

--- Whether the socket of a token was closed.
---@param key string
---@return boolean
function Places.is_closed(key) return dict:get("c:" .. key) == true end

--- Notes that a socket has moved. The worker that opened it needs no entry.
---@param id string
---@param holder string names of node and worker
---@param is_elsewhere boolean? whether that is another node
---@return boolean ok false when there is no room
function Places.move(id, holder, is_elsewhere)
  if holder == id:sub(1, HOLDER) then
    dict:delete("h:" .. id)
    return true
  end
  return put("h:" .. id, holder, is_elsewhere and ELSEWHERE_SECONDS or nil)
end

--- The names of a node and a worker.
---@param holder string both
---@return string node
---@return string worker
function Places.split(holder) return holder:sub(1, NODE), holder:sub(NODE + 1, HOLDER) end

--- Begins a move from a worker of this node, or to one.
---@param id string
---@param giver string names of the node and the worker that have the socket
---@param receiver string names of those that get it
---@return boolean ok false when there is no room
function Places.begin_move(id, giver, receiver)
  dict:delete("f:" .. id)
  return put("m:" .. id, giver .. receiver, MOVE_SECONDS)
end

--- The two sides of the last move that has begun and not ended.
---@param id string
---@return string? giver names of node and worker
---@return string? receiver
function Places.move_of(id)
  local sides = dict:get("m:" .. id)
  if sides then
    return sides:sub(1, HOLDER), sides:sub(HOLDER + 1)
  end
end

--- Whether a socket moves, and it is open which side will have it.
---@param id string
---@return boolean
function Places.is_moving(id) return dict:get("m:" .. id) ~= nil and dict:get("f:" .. id) == nil end

--- Decides what becomes of a socket that moves within this node, when the two workers do not know of each other. The first
--- decision counts. Without such a move every decision counts.
---@param id string
---@param fate "taken"|"kept"|"killed" the new side has it, the old side keeps it, or the new side was killed
---@return "taken"|"kept"|"killed" fate that counts
function Places.decide(id, fate)
  local giver, receiver = Places.move_of(id)
  if giver and Places.split(giver) == Places.split(receiver) then
    dict:safe_add("f:" .. id, fate, MOVE_SECONDS)
  end
  return dict:get("f:" .. id) or fate
end

--- Ends a move: both sides know what has become of the socket. Another move may have begun meanwhile, which stays.
---@param id string
---@param giver string
---@param receiver string
function Places.end_move(id, giver, receiver)
  if dict:get("m:" .. id) == giver .. receiver then
    dict:delete("m:" .. id)
    dict:delete("f:" .. id)
  end
end

--- The worker that holds a socket.
---@param id string
---@return string node
---@return string worker
function Places.of(id) return Places.split(dict:get("h:" .. id) or id) end

--- Names of the node and the worker that hold a socket.
---@param id string
---@return string holder
function Places.holder(id) return dict:get("h:" .. id) or id:sub(1, HOLDER) end

--- Forgets where a socket was: it has ended.
---@param id string
function Places.forget(id)
  dict:delete("h:" .. id)
  dict:delete("m:" .. id)
  dict:delete("f:" .. id)
end

return Places
