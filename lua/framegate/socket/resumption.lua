-- Finds the socket that a client comes back to, and decides whether it is the same client.

local Attachment = require "framegate.socket.attachment"
local Client = require "framegate.runtime.client"
local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local Handshake = require "framegate.protocol.handshake"
local Places = require "framegate.session.places"

local Resumption = {}

local LOOK_SECONDS = 0.05
local NODE_LENGTH = 4
local CLAIM_SECONDS = 0.2 -- from a claim to the open event
local MOVE_SECONDS = 10 -- for which a client waits while its socket moves

local members, registry

--- Gives this module the instances of its worker.
---@param worker Worker
function Resumption.wire(worker)
  members, registry = worker.members, worker.registry
end

local function own() return members:node() .. members:worker() end

---@class Return a client that comes back
---@field key string token or nonce
---@field is_new boolean whether the key is a nonce
---@field received integer messages that it has
---@field path string of the handshake, without ws-session
---@field lines string header lines of the handshake
---@field offered string[]|string|nil its Sec-WebSocket-Protocol

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

-- Whether a client has the key, and comes from the same page.
local function has_key(connection, client)
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
  if not has_key(connection, client) then
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

-- Waits while the handler of the first handshake with this key has not answered. Returns the socket, and whether the key is
-- known here.
local function await_opened(key)
  local deadline = Clock.monotonic() + Config.HANDLER_WAIT + Config.HANDLER_TIMEOUT
  local id, is_opening = Places.of_key(key)
  while is_opening and Clock.monotonic() < deadline and not Client.has_left() do
    ngx.sleep(LOOK_SECONDS)
    id, is_opening = Places.of_key(key)
  end
  return not is_opening and id or nil, id ~= nil
end

-- Looks for a socket that is here and at rest. Returns "elsewhere" and its holder when another worker has it.
local function look(id)
  local holder = Places.holder(id)
  if holder ~= own() then
    return "elsewhere", holder
  end
  local connection = registry:get(id)
  if connection and (connection.phase == "opening" or connection.moving) then
    return "busy"
  end
  return connection and connection.phase == "open" and connection or nil
end

-- Waits while a socket is being opened, or moves.
local function await(id)
  local deadline = Clock.monotonic() + MOVE_SECONDS
  local found, holder = look(id)
  while found == "busy" and Clock.monotonic() < deadline do
    ngx.sleep(LOOK_SECONDS)
    found, holder = look(id)
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
  local connection, err = nil, is_unsure and "busy" or nil
  if found and found.is_opening then
    err = "busy"
  elseif found then
    connection, err = parts.fetch(found.id, found.holder, client)
    -- It may have moved on meanwhile.
    err = err == "gone" and (found.is_here or is_unsure) and "busy" or err
  end
  return connection, err ~= "gone" and err or nil
end

--- Finds the socket of a client that comes back, and brings it to this worker. Yields.
---@param client Return
---@param parts { carriers: Carriers, fetch: fun(id: string, holder: string, client: Return): Connection?, "busy"? } `fetch`
--- takes it from another worker
---@return Connection? connection of this worker; nil when the client gets a new socket
---@return "busy"? err when it may succeed later
function Resumption.find(client, parts)
  local id, is_known = await_opened(client.key)
  if not is_known then
    return find_elsewhere(client, parts)
  end
  local found, holder = nil, nil
  if id then
    found, holder = await(id)
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
