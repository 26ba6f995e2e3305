-- Finds the socket that a client comes back to, and decides whether it is the same client.

local Attachment = require "framegate.socket.attachment"
local Client = require "framegate.runtime.client"
local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local Handshake = require "framegate.protocol.handshake"
local Places = require "framegate.session.places"
local Record = require "framegate.socket.record"

local Resumption = {}

local LOOK_SECONDS = 0.05
local NODE_LENGTH = 4
local CLAIM_SECONDS = 0.2 -- from a claim to the open event
local MOVE_SECONDS = 10 -- for which a client waits while its socket moves

local members, holders, registry

--- Gives this module the instances of its worker.
---@param worker Worker
function Resumption.wire(worker)
  members, holders, registry = worker.members, worker.holders, worker.registry
end

local function own() return members:node() .. members:worker() end

---@class Return a client that comes back
---@field key string token or nonce
---@field is_new boolean whether the key is a nonce
---@field received integer messages that it has
---@field path string of the handshake, without ws-session
---@field lines string header lines of the handshake
---@field offered string[]|string|nil its Sec-WebSocket-Protocol
---@field compression Compression? that its handshake has negotiated
---@field extensions string? Sec-WebSocket-Extensions of its 101

local function header_of(lines, name) return ("\r\n" .. lines):match("\r\n" .. name .. ": ([^\r]*)") end

local function is_same(lines, others, names)
  for _, name in ipairs(names) do
    if header_of(lines, name) ~= header_of(others, name) then
      return false
    end
  end
  return true
end

local ORIGIN, CREDENTIALS = { "origin" }, { "cookie", "authorization" }

--- Whether a client has the key of a session, and comes from the same page.
---@param connection Connection
---@param client Return
---@return boolean
function Resumption.has_key(connection, client)
  local session = connection.session
  return session ~= nil
    and connection.phase == "open"
    and session:opens_with(client.key)
    and connection.path == client.path
    and is_same(connection.handshake, client.lines, ORIGIN)
    and (not session.protocol or Handshake.is_offered(client.offered, session.protocol))
end

-- The client gets a new socket, and nobody can come back to this one.
local function lose(connection)
  Attachment.release(connection)
  if connection.phase == "open" then
    connection:end_with(CloseCode.ABNORMAL, "its client lacks messages that are not kept any more", "lost")
    connection:finish()
  end
end

--- Whether a client may go on with a session: it comes from the same page and user, and nothing that it lacks is lost.
--- Where the handler decides about users (mode "check"), cookie and authorization may differ. If the client is the same, but
--- lacks too much, the session ends.
---@param connection Connection
---@param client Return
---@return boolean
function Resumption.accepts(connection, client)
  if not Resumption.has_key(connection, client) then
    return false
  end
  local session = connection.session
  local is_same_user = is_same(connection.handshake, client.lines, CREDENTIALS)
  local is_covered = session.ring:covers(client.received)
  if is_same_user and client.received < session.ring.base then
    lose(connection)
  end
  return is_covered and (is_same_user or session.mode == "check")
end

--- Whether a key belongs to a session of this node that a client can come back to now. Does not yield.
---@param key string token or nonce
---@return boolean
function Resumption.is_expected(key)
  local id, is_opening = Places.of_key(key)
  local holder = id and not is_opening and Places.holder(id) or ""
  if holder ~= own() then
    return holder:sub(1, NODE_LENGTH) == members:node()
  end
  local connection = registry:get(id)
  return connection ~= nil and connection.phase == "open" and not connection.moving
end

-- Whether the worker that holds a socket, or opens it, was killed.
local function is_killed(id)
  local node, worker = Places.of(id)
  return node == members:node() and worker ~= Places.NOBODY and not holders:is_living(worker)
end

-- Whether nobody will have a socket again: the worker that had or opened it was killed, and it did not move meanwhile.
local function is_gone(id)
  local holder = Places.holder(id)
  return is_killed(id) and Places.holder(id) == holder and not Places.move_of(id)
end

-- The socket of a key, and whether it is being opened. The key of a socket that is gone is void: the new socket of that client
-- gets it.
local function socket_of(key)
  local id, is_opening = Places.of_key(key)
  if id and is_gone(id) then
    Places.void_key(key, id)
    return nil
  end
  return id, is_opening
end

-- Waits while the handler of the first handshake with this key has not answered. Returns the socket, and whether the key is
-- known here.
local function await_opened(key)
  local deadline = Clock.monotonic() + Config.HANDLER_WAIT + Config.HANDLER_TIMEOUT
  local id, is_opening = socket_of(key)
  while is_opening and Clock.monotonic() < deadline and not Client.has_left() do
    ngx.sleep(LOOK_SECONDS)
    id, is_opening = socket_of(key)
  end
  return not is_opening and id or nil, id ~= nil
end

-- Looks for a socket that is here and at rest. Returns "elsewhere" and its holder when another worker has it.
local function look(id, recall)
  local holder = Places.holder(id)
  if holder ~= own() then
    return "elsewhere", holder
  end
  local connection = registry:get(id)
  if connection and connection.moving then
    recall(connection)
  end
  if connection and (connection.phase == "opening" or connection.moving) then
    return "busy"
  end
  return connection and connection.phase == "open" and connection or nil
end

-- Waits while a socket is being opened, or moves.
local function await(id, recall)
  local deadline = Clock.monotonic() + MOVE_SECONDS
  local found, holder = look(id, recall)
  while found == "busy" and Clock.monotonic() < deadline do
    ngx.sleep(LOOK_SECONDS)
    found, holder = look(id, recall)
  end
  return found, holder
end

-- Asks the other nodes for a key. The one that has claimed a nonce may know it only a moment later.
local function ask_nodes(client, carriers)
  local found, is_unsure = carriers:find(client.key)
  if client.is_new and not found and not is_unsure then
    ngx.sleep(CLAIM_SECONDS)
    return carriers:find(client.key)
  end
  return found, is_unsure
end

-- Finds the socket of a key that this node does not know, at another node.
local function find_elsewhere(client, parts)
  if client.is_new and not parts.carriers:claim(client.key) then
    return nil
  end
  local found, is_unsure = ask_nodes(client, parts.carriers)
  if not found then
    return nil, is_unsure and "busy" or nil
  elseif found.is_opening or found.is_moving then
    return nil, "busy"
  end
  local connection, err = parts.fetch(found.id, found.holder, client)
  if err == "gone" then
    err = (found.is_here or is_unsure) and "busy" or nil -- it may have moved on meanwhile
  end
  return connection, err
end

--- What this node knows of the socket of a key, for another node. Does not yield.
---@param key string token or nonce
---@return { id: string?, is_opening: boolean?, holder: string?, is_here: boolean?, is_moving: boolean? } facts `holder`: names of
--- the node and the worker that have the socket; `is_here`: that is this node; none when no worker has it any more
function Resumption.describe(key)
  local id, is_opening = socket_of(key)
  if not id then
    return {}
  end
  local holder, is_moving = Places.holder(id), Places.is_moving(id)
  local is_here = Places.split(holder) == members:node()
  local is_lost = is_here and not is_opening and (is_killed(id) or not Record.text_of(id))
  if is_lost and not is_moving then
    return {}
  end
  return { id = id, is_opening = is_opening, holder = holder, is_here = is_here, is_moving = is_moving }
end

--- Finds the socket of a client that comes back, and brings it to this worker. Yields.
---@param client Return
---@param parts { carriers: Carriers, fetch: (fun(id: string, holder: string, client: Return): Connection?, "busy"?),
--- recall: fun(connection: Connection) } `fetch` takes it from another worker; `recall` stops giving it to one
---@return Connection? connection of this worker; nil when the client gets a new socket
---@return "busy"? err when it may succeed later
function Resumption.find(client, parts)
  local id, is_known = await_opened(client.key)
  if Client.has_left() then
    return nil -- one that is gone takes no socket from one that is not
  elseif not is_known then
    return find_elsewhere(client, parts)
  end
  local found, holder = nil, nil
  if id then
    found, holder = await(id, parts.recall)
  end
  if found == "elsewhere" then
    local connection, err = parts.fetch(id, holder, client)
    if err ~= "gone" then
      return connection, err
    end
    return find_elsewhere(client, parts) -- it may have moved on from there
  elseif found == "busy" then
    return nil, "busy"
  end
  return found and Resumption.accepts(found, client) and found or nil
end

return Resumption
