-- Makes a connection to Redis that is ready for commands: finds the address, connects, and introduces this gateway.
-- With REDIS_SENTINELS, each dial asks the Sentinels for the current master.

local RedisConnection = require "framegate.cluster.redis_connection"
local RedisFailure = require "framegate.cluster.redis_failure"
local Resp = require "framegate.cluster.resp"

local RedisDial = {}

---@class RedisOptions what REDIS_URL and its companions say
---@field host string?
---@field port integer?
---@field path string? of a unix socket
---@field user string?
---@field password string?
---@field db integer
---@field is_tls boolean
---@field sentinels { host: string, port: integer }[]?
---@field master string? the name that the Sentinels know

local function master_of(sentinel, options, look_up)
  local target = { host = sentinel.host, port = sentinel.port }
  target.tls_name = options.is_tls and (options.host or sentinel.host) or nil
  local connection, reason = RedisConnection.open(target, look_up)
  if not connection then
    return nil, reason
  end
  local reply, err = connection:ask { "SENTINEL", "get-master-addr-by-name", options.master }
  connection:close()
  if err then
    return nil, RedisFailure.silence(err)
  elseif Resp.is_error(reply) then
    return nil, reply.message
  elseif type(reply) ~= "table" then
    return nil, "it knows no master of this name: correct REDIS_MASTER"
  end
  local host = reply[1]:find(":", 1, true) and "[" .. reply[1] .. "]" or reply[1]
  return { host = host, port = tonumber(reply[2]) }
end

local function ask_sentinels(options, look_up)
  local reasons = {}
  for i, sentinel in ipairs(options.sentinels) do
    local master, reason = master_of(sentinel, options, look_up)
    if master then
      return master
    end
    reasons[i] = RedisConnection.describe(sentinel) .. ": " .. reason
  end
  return nil, ("no Sentinel names the master %s (%s)"):format(options.master, table.concat(reasons, "; "))
end

local function target_of(options, look_up)
  if not options.sentinels then
    local tls_name = options.is_tls and options.host or nil
    return { host = options.host, port = options.port, path = options.path, tls_name = tls_name }
  end
  local target, reason = ask_sentinels(options, look_up)
  if target then
    target.tls_name = options.is_tls and (options.host or target.host) or nil
  end
  return target, reason
end

local function hello(options, name)
  local command = { "HELLO", 3 }
  if options.password then
    command = { "HELLO", 3, "AUTH", options.user or "default", options.password }
  end
  command[#command + 1] = "SETNAME"
  command[#command + 1] = name
  return command
end

local function ask(connection, command, options)
  local reply, err = connection:ask(command)
  if err then
    return nil, RedisFailure.silence(err)
  elseif Resp.is_error(reply) then
    return nil, RedisFailure.refused(reply, options)
  end
  return reply
end

local function introduce(connection, options, name)
  local server, reason = ask(connection, hello(options, name), options)
  if not server then
    return nil, reason
  end
  reason = RedisFailure.unfit(server)
  if reason then
    return nil, reason
  end
  if options.db > 0 then
    local selected
    selected, reason = ask(connection, { "SELECT", options.db }, options)
    if not selected then
      return nil, reason
    end
  end
  local info
  info, reason = ask(connection, { "INFO", "server" }, options)
  if not info then
    return nil, reason
  end
  connection.client_id, connection.run_id = server.id, info:match "run_id:(%x+)"
  return connection
end

--- Dials. Yields for a few seconds at most.
---@param options RedisOptions
---@param parts { name: string, look_up: fun(host: string): string[]?, string? } `name`: of the client, in CLIENT LIST
---@return RedisConnection? connection with `client_id` (CLIENT ID) and `run_id` of the server
---@return string? reason what failed and what to do, without the password
---@return string? where the address that failed, if one was found
function RedisDial.open(options, parts)
  local target, reason = target_of(options, parts.look_up)
  if not target then
    return nil, reason
  end
  local where = RedisConnection.describe(target)
  local connection
  connection, reason = RedisConnection.open(target, parts.look_up)
  if not connection then
    return nil, reason, where
  end
  local ready
  ready, reason = introduce(connection, options, parts.name)
  if not ready then
    connection:close()
  end
  return ready, reason, where
end

return RedisDial
