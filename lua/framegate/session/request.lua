-- The query parameter `ws-session`, with which a client asks for a session. The handler never sees it.

local Random = require "framegate.runtime.random"

local Request = {}

---@class SessionRequest
---@field key string nonce of a new session, or a token
---@field is_new boolean
---@field received integer how many messages of the gateway the client has; 0 for a new session
---@field is_own boolean? whether the gateway made the key, because the client has none
---@field has_own_key boolean? whether the key belongs to no other session

-- A nonce has at least 128 random bits. A key is the name of an entry in shared memory, so its length is bounded.
local NEW = "^new%.([%w_-]+)$"
local RESUMED = "^([%w_-]+)%.(%d+)$"
local SHORTEST, LONGEST, DIGITS = 22, 64, 15

local function read(value)
  local nonce = value:match(NEW)
  if nonce and #nonce >= SHORTEST and #nonce <= LONGEST then
    return { key = nonce, is_new = true, received = 0 }
  end
  local token, received = value:match(RESUMED)
  if token and #token >= SHORTEST and #token <= LONGEST and #received <= DIGITS then
    return { key = token, is_new = false, received = tonumber(received) }
  end
end

--- Takes the parameter out of a request target.
---@param target string path and query
---@return string target without the parameter
---@return string? value as it was sent; nil when the client asks for no session
function Request.split(target)
  local path, query = target:match("^([^?]*)%?(.*)$")
  if not query or not query:find("ws-session=", 1, true) then
    return target
  end
  local kept, value = {}, nil
  for part in query:gmatch("[^&]+") do
    local sent = part:match("^ws%-session=(.*)$")
    if sent and not value then
      value = sent
    elseif not sent then
      kept[#kept + 1] = part
    end
  end
  if not value then
    return target
  end
  return kept[1] and path .. "?" .. table.concat(kept, "&") or path, value
end

--- Reads the value of the parameter.
---@param value string
---@return SessionRequest? request
---@return string? err what was expected
function Request.read(value)
  local request = read(value)
  if request then
    return request
  end
  return nil, "expected ws-session=new.<nonce of 22 to 64 characters> or ws-session=<token>.<received>"
end

--- Reads what the client of an event stream wants. It asks for a session without the parameter.
---@param id string|string[]|nil its Last-Event-ID, which counts if it is a token of the gateway
---@param value string? of the parameter
---@return SessionRequest? request
---@return string? err what was expected
function Request.of_stream(id, value)
  local resumed = type(id) == "string" and id:match(RESUMED) and read(id)
  if resumed then
    return resumed
  elseif value then
    return Request.read(value)
  end
  return { key = Random.name(SHORTEST), is_new = true, is_own = true, received = 0 }
end

return Request
