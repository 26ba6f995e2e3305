-- One connection to Redis or to a Sentinel: connects, and asks one command after another.
-- Once commands and pushes are mixed, redis_link.lua reads and writes it.

local RedisFailure = require "framegate.cluster.redis_failure"
local Resp = require "framegate.cluster.resp"

---@class RedisConnection
---@field socket table the cosocket
---@field parser RespParser
---@field where string the address, for people
local RedisConnection = {}
RedisConnection.__index = RedisConnection

local CONNECT_MS, SEND_MS, ASK_MS = 1000, 2000, 1000
local READ_BYTES = 65536

---@class RedisTarget
---@field host string? a name, or an address; IPv6 in brackets
---@field port integer?
---@field path string? of a unix socket, in place of host and port
---@field tls_name string? the name that the certificate must have; without it the connection has no TLS

---@param target RedisTarget
---@return string
function RedisConnection.describe(target)
  return target.path and "unix:" .. target.path or ("%s:%d"):format(target.host, target.port)
end

local function connect_path(socket, path) return socket:connect("unix:" .. path) end

local function connect_host(socket, target, look_up)
  local addresses, err = look_up(target.host)
  for _, address in ipairs(addresses or {}) do
    local ok
    ok, err = socket:connect(address, target.port)
    if ok then
      return true
    end
  end
  return nil, err, addresses == nil
end

--- Connects. Yields for up to 1 s for each address of the host, and 1 s for TLS.
---@param target RedisTarget
---@param look_up fun(host: string): string[]?, string? finds the addresses of a name
---@return RedisConnection?
---@return string? reason what failed and what to do
function RedisConnection.open(target, look_up)
  local socket, where = ngx.socket.tcp(), RedisConnection.describe(target)
  socket:settimeouts(CONNECT_MS, SEND_MS, ASK_MS)
  local ok, err, is_unknown
  if target.path then
    ok, err = connect_path(socket, target.path)
  else
    ok, err, is_unknown = connect_host(socket, target, look_up)
  end
  if not ok then
    return nil, is_unknown and RedisFailure.look_up(target.host, err) or RedisFailure.connect(err)
  end
  if target.tls_name then
    ok, err = socket:sslhandshake(false, target.tls_name, true)
    if not ok then
      socket:close()
      return nil, RedisFailure.tls(target.tls_name, err)
    end
  end
  return setmetatable({ socket = socket, parser = Resp.parser(), where = where }, RedisConnection)
end

--- Sends a command, and waits up to 1 s for each piece of the reply.
---@param command (string|number)[]
---@return any reply nil when none came; an error reply is a reply
---@return string? err "timeout", "closed" or another error of the socket, or "broken" for bytes that are not RESP
function RedisConnection:ask(command)
  local ok, err = self.socket:send(Resp.encode(command))
  while ok do
    local value, kind, broken = self.parser:next()
    if kind == "reply" then
      return value
    elseif broken then
      return nil, "broken"
    elseif not kind then
      local bytes
      bytes, err = self:read(ASK_MS)
      if not bytes then
        return nil, err
      end
      self.parser:feed(bytes)
    end
  end
  return nil, err
end

--- Waits for bytes.
---@param milliseconds integer
---@return string? bytes
---@return string? err "timeout" leaves the connection usable
function RedisConnection:read(milliseconds)
  self.socket:settimeouts(CONNECT_MS, SEND_MS, milliseconds)
  return self.socket:receiveany(READ_BYTES)
end

--- Closes the connection. No thread may read it any more: ngx_lua would refuse ("socket busy reading").
function RedisConnection:close() self.socket:close() end

return RedisConnection
