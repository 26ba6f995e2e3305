-- Why there is no link to Redis, in one line each: what failed, and what the operator can do.

local RedisFailure = {}

local CONNECT = {
  ["connection refused"] = "nothing listens there: start Redis, or correct REDIS_URL",
  ["timeout"] = "no answer within 1 s: check the address in REDIS_URL, and firewalls",
  ["no such file or directory"] = "there is no such socket file: start Redis, or correct REDIS_URL",
  ["permission denied"] = "the gateway's account may not use the socket file: see `unixsocketperm` of Redis",
}

--- A connection that could not be made.
---@param err string of the cosocket
---@return string reason
function RedisFailure.connect(err) return CONNECT[err] or err .. ": correct REDIS_URL" end

--- A name without an address.
---@param host string
---@param err string
---@return string reason
function RedisFailure.look_up(host, err) return ("the name %s has no address (%s): correct REDIS_URL"):format(host, err) end

--- A TLS handshake that failed.
---@param name string that was expected in the certificate
---@param err string of the cosocket
---@return string reason
function RedisFailure.tls(name, err)
  if err:find "host mismatch" then
    return ("its certificate is not for the name %s: use a name of the certificate as the host in REDIS_URL"):format(
      name
    )
  elseif err:find "^%d+: " then
    return ("its certificate is not trusted (%s): name the file of its authority in REDIS_CA"):format(err)
  end
  return ("TLS failed (%s): use the port for TLS of Redis, or redis:// for a port without"):format(err)
end

--- A command of the greeting that got no reply.
---@param err string of RedisConnection:ask
---@return string reason
function RedisFailure.silence(err)
  if err == "broken" then
    return "what answers there is not Redis: correct REDIS_URL"
  elseif err == "timeout" then
    return "connected, but no answer within 1 s: check that Redis is not stopped or overloaded, or is no port for TLS"
  end
  return ("the connection ended before an answer (%s): check that it is Redis, and rediss:// for a port for TLS"):format(
    err
  )
end

local function credentials(options)
  if options.user then
    return ("the user %s is unknown or disabled, or the password is wrong: correct REDIS_URL"):format(options.user)
  end
  return "the password is wrong: correct REDIS_URL"
end

local OLD = "it is older than Redis 6, which is needed: upgrade Redis"

-- By code of the error reply.
local REPLIES = {
  WRONGPASS = credentials,
  NOAUTH = function() return "it wants a password: use redis://:PASSWORD@HOST in REDIS_URL" end,
  NOPROTO = function() return OLD end,
  LOADING = function() return "Redis is loading its data: wait" end,
  DENIED = function() return "it is in protected mode, which refuses other machines: set a password in Redis" end,
  READONLY = function() return "it is a replica, which takes no writes: name the master in REDIS_URL" end,
}

--- Whether an ACL forbids a command, or what a script calls.
---@param reply RespError
---@return boolean
function RedisFailure.is_forbidden(reply)
  return reply.code == "NOPERM" or reply.message:find("can't run this command", 1, true) ~= nil
end

--- A command that an ACL forbids.
---@param reply RespError for which `is_forbidden` holds
---@param options table
---@return string reason
function RedisFailure.forbidden(reply, options)
  local user = options.user or "default"
  local command = reply.message:match "run the '([^']+)' command"
  if command then
    return ("the ACL of the user %s forbids the command %s: allow it with ACL SETUSER %s +%s"):format(
      user,
      command,
      user,
      command
    )
  elseif reply.code ~= "NOPERM" then
    return ("the ACL of the user %s forbids a command of a script: allow those of docs/cluster.md"):format(user)
  end
  return ("the ACL of the user %s forbids a key or a channel (%s): allow those of CLUSTER_NAME"):format(
    user,
    reply.message
  )
end

local function redacted(text, secret)
  if not secret or secret == "" then
    return text
  end
  return (text:gsub(secret:gsub("%p", "%%%0"), "…"))
end

--- An error reply to a command of the greeting.
---@param reply RespError
---@param options table with the user and the password of REDIS_URL
---@return string reason without the password, which Redis may repeat
function RedisFailure.refused(reply, options)
  if REPLIES[reply.code] then
    return REPLIES[reply.code](options)
  elseif reply.code == "NOPERM" then
    return RedisFailure.forbidden(reply, options)
  elseif reply.message:lower():find "unknown command" then
    return OLD
  elseif reply.message:find "DB index" then
    return ("it has no database %d: correct REDIS_URL"):format(options.db)
  end
  return ("it answers: %s"):format(redacted(reply.message, options.password))
end

--- A server that the gateway cannot use, by the reply to HELLO.
---@param hello table
---@return string? reason nil when it can be used
function RedisFailure.unfit(hello)
  local major = tonumber(tostring(hello.version):match "^%d+")
  if not major or major < 6 then
    return OLD
  elseif hello.mode == "sentinel" then
    return "it is a Sentinel: name it in REDIS_SENTINELS, with REDIS_MASTER"
  elseif hello.mode == "cluster" then
    return "it is a node of a Redis Cluster: use a Redis with `cluster-enabled no`"
  elseif hello.role ~= "master" then
    return REPLIES.READONLY()
  end
end

return RedisFailure
