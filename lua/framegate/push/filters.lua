-- Filters of subscriptions (GRIP): which frames of a topic a socket does not get, by what the publisher has said about them.
--   skip-self: those whose `sender` is the socket's `user` · skip-users: those whose `skip_users` has the socket's `user`
--   require-sub: those whose `require_sub` is a topic to which the socket does not subscribe
-- Filters with other names have no effect.

local Topic = require "framegate.push.topic"

local Filters = {}

---@class ConnectionFilters
---@field meta table<string, string> what the handler has said about the socket
---@field topics table<string, string[]> names of filters by topic

local function new() return { meta = {}, topics = {} } end

--- Sets the filters of a subscription.
---@param filters ConnectionFilters? of the connection
---@param topic string
---@param names string[]
---@return ConnectionFilters? filters nil when there are none
function Filters.set(filters, topic, names)
  if not filters and not names[1] then
    return nil
  end
  filters = filters or new()
  filters.topics[topic] = names[1] and names or nil
  return filters
end

--- Sets what filters know about a connection.
---@param filters ConnectionFilters? of the connection
---@param name string
---@param value string? nil to forget it
---@return ConnectionFilters
function Filters.set_meta(filters, name, value)
  filters = filters or new()
  filters.meta[name] = value
  return filters
end

local function has_user(list, user)
  for name in list:gmatch("[^,]+") do
    if name:match("^%s*(.-)%s*$") == user then
      return true
    end
  end
  return false
end

local PASSES = {
  ["skip-self"] = function(connection, meta)
    local user = connection.grip.filters.meta.user
    return not user or user ~= meta.sender
  end,
  ["skip-users"] = function(connection, meta)
    local user = connection.grip.filters.meta.user
    return not user or not meta.skip_users or not has_user(meta.skip_users, user)
  end,
  ["require-sub"] = function(connection, meta) return not meta.require_sub or Topic.has(connection, meta.require_sub) end,
}

--- Whether a connection gets a frame.
---@param connection Connection that subscribes to the topic
---@param topic string?
---@param meta table<string, string>? what the publisher has said about the frame
---@return boolean
function Filters.pass(connection, topic, meta)
  local filters = meta and connection.grip and connection.grip.filters
  local names = filters and filters.topics[topic]
  for _, name in ipairs(names or {}) do
    local passes = PASSES[name]
    if passes and not passes(connection, meta) then
      return false
    end
  end
  return true
end

return Filters
