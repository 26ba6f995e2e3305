-- Finds the socket that a client comes back to, and decides whether it is the same client.

local Client = require "framegate.runtime.client"
local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Handshake = require "framegate.protocol.handshake"
local Places = require "framegate.session.places"

local Resumption = {}

local LOOK_SECONDS = 0.05

local members, registry

--- Gives this module the instances of its worker.
---@param worker Worker
function Resumption.wire(worker)
  members, registry = worker.members, worker.registry
end

---@class Return a client that comes back
---@field key string token or nonce
---@field received integer messages that it has
---@field path string of the handshake, without ws-session
---@field lines string header lines of the handshake
---@field offered string[]|string|nil its Sec-WebSocket-Protocol

local function header_of(lines, name) return ("\r\n" .. lines):match("\r\n" .. name .. ": ([^\r]*)") end

local function is_same(own, others, names)
  for _, name in ipairs(names) do
    if header_of(own, name) ~= header_of(others, name) then
      return false
    end
  end
  return true
end

local ORIGIN, CREDENTIALS = { "origin" }, { "cookie", "authorization" }

--- Whether a client may go on with a session: it comes from the same page and user, and nothing that it lacks is lost.
--- Where the handler decides about users (mode "check"), cookie and authorization may differ.
---@param connection Connection
---@param client Return
---@return boolean
function Resumption.fits(connection, client)
  local session = connection.session
  return session ~= nil
    and connection.phase == "open"
    and connection.path == client.path
    and is_same(connection.handshake, client.lines, ORIGIN)
    and (session.mode == "check" or is_same(connection.handshake, client.lines, CREDENTIALS))
    and (not session.protocol or Handshake.is_offered(client.offered, session.protocol))
    and session.ring:covers(client.received)
end

-- Waits while the handler of the first handshake with this key has not answered.
local function await_opened(key)
  local deadline = Clock.monotonic() + Config.HANDLER_WAIT + Config.HANDLER_TIMEOUT
  local id, is_opening = Places.of_key(key)
  while is_opening and Clock.monotonic() < deadline do
    if Client.has_left() then
      return nil, true
    end
    ngx.sleep(LOOK_SECONDS)
    id, is_opening = Places.of_key(key)
  end
  return not is_opening and id or nil
end

local function await_phase(id)
  local connection = registry:get(id)
  while connection and connection.phase == "opening" do
    ngx.sleep(LOOK_SECONDS)
    connection = registry:get(id)
  end
  return connection
end

--- Finds the socket of a client that comes back. Yields.
---@param client Return
---@return Connection? connection of this worker; nil when the client gets a new socket
---@return boolean? has_left whether the client has left meanwhile, and gets nothing
function Resumption.find(client)
  local id, has_left = await_opened(client.key)
  if not id then
    return nil, has_left
  elseif Places.holder(id) ~= members:node() .. members:worker() then
    return nil
  end
  local connection = await_phase(id)
  return connection and Resumption.fits(connection, client) and connection or nil
end

return Resumption
