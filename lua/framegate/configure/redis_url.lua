-- Reads REDIS_URL: where Redis is, and as whom the gateway logs in. Pure.
-- The scheme is that of redis-cli: redis://[user[:password]@]host[:port][/db], rediss:// for TLS, unix:/path[?db=N].

local Values = require "framegate.configure.values"

local RedisUrl = {}

local EXPECTED = "redis://user:password@host:port/db, rediss://… for TLS or unix:/path/to.sock"
local PORT, SENTINEL_PORT = 6379, 26379
local MAX_DB = 65535

local function decode(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function to_db(text) return text == "" and 0 or Values.integer(0, MAX_DB)(text) end

local function host_and_port(text, default_port)
  local host, port = text:match "^(%[[%x:%.]+%]):?(%d*)$"
  if not host then
    host, port = text:match "^([%w%.%-_]+):?(%d*)$"
  end
  if not host or text:find ":$" then
    return nil
  end
  port = port == "" and default_port or Values.integer(1, 65535)(port)
  return port and host, port
end

local function parse_path(text)
  local path, query = text:match "^unix:([^?]+)(.*)$"
  path = path and path:gsub("^//", "")
  local db = to_db(query and (query == "" and "" or query:match "^%?db=(%d+)$") or "none")
  if not path or not db or not Values.socket_file(path) then
    return nil, EXPECTED
  end
  return { path = path, db = db, is_tls = false }
end

-- `user:password@`: without a colon it is a user without a password.
local function credentials(text)
  local user, password = text:match "^([^:]*):?(.*)$"
  return user ~= "" and decode(user) or nil, decode(password)
end

--- Reads the URL. User and password are percent-decoded.
---@param text string
---@return { host: string?, port: integer?, path: string?, user: string?, password: string?, db: integer,
---  is_tls: boolean }? url without a host when only Sentinels give it
---@return string? expected
function RedisUrl.parse(text)
  if text:find "^unix:" then
    return parse_path(text)
  end
  local scheme, rest = text:match "^(rediss?)://(%S+)$"
  if not scheme or rest:find "[?#]" then
    return nil, EXPECTED
  end
  local login, place = rest:match "^(.*)@([^@]*)$"
  local where, db_text = (place or rest):match "^([^/]*)/?(.*)$"
  local url = { is_tls = scheme == "rediss", db = to_db(db_text) }
  if where ~= "" then
    url.host, url.port = host_and_port(where, PORT)
  end
  if not url.db or where ~= "" and not url.host then
    return nil, EXPECTED
  end
  if login then
    url.user, url.password = credentials(login)
  end
  return url
end

--- Reads one address of REDIS_SENTINELS.
---@param text string host[:port]
---@return { host: string, port: integer }? sentinel
---@return string? expected
function RedisUrl.sentinel(text)
  local host, port = host_and_port(text, SENTINEL_PORT)
  if not host then
    return nil, "host:port of Sentinels, separated by commas"
  end
  return { host = host, port = port }
end

--- Puts everything about Redis into REDIS_URL, and checks that it fits together.
---@param settings table changed: REDIS_URL becomes a table, or stays "" without Redis
---@param problems string[] one line for each problem is added
function RedisUrl.combine(settings, problems)
  local url, sentinels, master = settings.REDIS_URL, settings.REDIS_SENTINELS, settings.REDIS_MASTER
  if url == nil or sentinels == nil or master == nil then
    return
  end
  local has_sentinels = sentinels[1] ~= nil
  if has_sentinels ~= (master ~= "") then
    problems[#problems + 1] = has_sentinels and "REDIS_SENTINELS=…: expected REDIS_MASTER beside it"
      or ("REDIS_MASTER=%s: expected REDIS_SENTINELS beside it"):format(master)
    return
  elseif has_sentinels then
    url = url ~= "" and url or { db = 0, is_tls = false }
    url.sentinels, url.master, settings.REDIS_URL = sentinels, master, url
  end
  if url ~= "" and not url.host and not url.path and not has_sentinels then
    problems[#problems + 1] = "REDIS_URL=…: expected a host in it, or REDIS_SENTINELS beside it"
  elseif url.path and has_sentinels then
    problems[#problems + 1] = "REDIS_URL=…: expected redis:// or rediss:// beside REDIS_SENTINELS"
  elseif settings.REDIS_CA and settings.REDIS_CA ~= "" and not url.is_tls then
    problems[#problems + 1] = ("REDIS_CA=%s: expected rediss:// in REDIS_URL"):format(settings.REDIS_CA)
  end
end

return RedisUrl
