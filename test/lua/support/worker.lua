-- A worker of fakes, for specs of sockets: it notes what connections do with it, and a spec answers their events.

local Stub = require "support.ngx"
local Dictionary = require "support.dictionary"
require "support.event_loop"

local Worker = {}

-- Any place that telemetry may ask for, by its name.
local function place(name)
  return setmetatable({}, {
    __index = function(_, key) return place(name .. "/" .. key) end,
    __tostring = function() return name end,
  })
end

local counted, lines

package.loaded["framegate.telemetry.counters"] = {
  place = place,
  count = function(at, by) counted[tostring(at)] = (counted[tostring(at)] or 0) + (by or 1) end,
  opened = function() counted.opened = (counted.opened or 0) + 1 end,
  moved = function(by) counted.moved = (counted.moved or 0) + by end,
  closed = function(cause, code) counted.closed = cause .. " " .. code end,
}

local function note(id, ...)
  local parts = { ... }
  for i, part in ipairs(parts) do
    parts[i] = tostring(part)
  end
  lines[#lines + 1] = (id or "") .. ": " .. table.concat(parts)
end

package.loaded["framegate.runtime.log"] = {
  warn = note,
  error = note,
  info = note,
  caught = function(_, run) return run end,
  limited = function(log, _, id, ...) log(id, ...) end,
}

local request
local shut -- connections that were ended

package.loaded["framegate.runtime.client"] = {
  key = function() return request end,
  connection = function() end,
  has_left = function() return request.has_left end,
  file = function() return 7 end,
  shut = function(fd) shut[#shut + 1] = fd end,
}

rawset(ngx.shared, "sockets", Dictionary.new())
rawset(ngx.shared, "rates", Dictionary.new())
rawset(ngx.shared, "sessions", Dictionary.new())
rawset(ngx.shared, "addresses", Dictionary.new())
rawset(ngx.shared, "cache", Dictionary.new())

local Config = require "framegate.config"

local SETTINGS = {
  OUTBOX_BYTES = 100,
  SESSION_SECONDS = 0,
  SESSION_BYTES = 100,
  MAX_CONNECTIONS_PER_IP = 0,
  MAX_DETACHED = 2,
  DETACHED_BYTES = 100000,
  MAX_MESSAGE_BYTES = 1000,
  COMPRESSION = true,
  COMPRESSION_MIN_BYTES = 200,
  HANDLER_WAIT = 10,
  HANDLER_TIMEOUT = 30,
  IDLE_TIMEOUT = 60,
  MESSAGE_TIMEOUT = 120,
  PING_INTERVAL = 25,
  STOP_SECONDS = 1,
  SOCKET_LOG = "off",
  RECORD_HEADERS = { "cookie" },
  HANDSHAKE_HEADERS = {},
  capacity = { lanes = 4 },
}

local function new_dispatch()
  return {
    events = {},
    idle_checks = 0,
    submit = function(self, event) self.events[#self.events + 1] = event end,
    opened = function() end,
    held = 0,
    hold = function(self, by) self.held = self.held + by end,
    check_idle = function(self) self.idle_checks = self.idle_checks + 1 end,
  }
end

local function new_registry()
  return {
    by_id = {},
    add = function(self, connection) self.by_id[connection.id] = connection end,
    remove = function(self, connection) self.by_id[connection.id] = nil end,
    get = function(self, id) return self.by_id[id] end,
    all = function(self) return self.by_id end,
    count = function(self) return next(self.by_id) and 1 or 0 end,
    subscribe = function(_, connection, topic)
      if topic == "too many" then
        return nil, "too many topics"
      end
      connection.topics = connection.topics or {}
      connection.topics[topic] = true
      return true
    end,
    unsubscribe = function(_, connection, topic) connection.topics[topic] = nil end,
    name_user = function(_, connection, user) connection.user = user end,
  }
end

local function new_push()
  return {
    published = {},
    publish_effect = function(self, effect, id)
      self.published[#self.published + 1] = { effect.topic, effect.payload, id }
    end,
  }
end

local WIRED = {
  "push.outbox",
  "socket.address_count",
  "socket.apply",
  "socket.ending",
  "socket.close_event",
  "socket.connection",
  "socket.detached",
  "socket.later",
  "socket.open_event",
  "socket.questions",
  "socket.record",
  "socket.resumption",
}

--- A new one, with the settings of a small gateway, at the time 1000. Modules of the room socket are wired with it.
---@param parts table? in place of its fakes, by name, or besides them
---@return table worker with what was counted and logged
function Worker.new(parts)
  Stub.now, counted, lines, request, shut = 1000, {}, {}, {}, {}
  ngx.shared.sockets.values = {}
  ngx.shared.rates.values = {}
  ngx.shared.sessions.values = {}
  ngx.shared.addresses.values = {}
  ngx.shared.cache.values = {}
  for name, value in pairs(SETTINGS) do
    Config[name] = value
  end
  local worker = {
    counted = counted,
    request = request, -- that runs now; `has_left` says whether its client has
    lines = lines,
    shut = shut,
    dispatch = new_dispatch(),
    registry = new_registry(),
    push = new_push(),
    members = {
      node = function() return "node" end,
      worker = function() return "worker" end,
      others = function() return {} end,
      is_alive = function() return true end,
      has_left = function() return false end,
      former_renewal = function() end,
      renewal_age = function() end,
    },
    holders = {
      is_clustered = function() return false end,
      is_living = function(_, name) return name ~= "killed" end,
    },
    answers = require("framegate.dispatch.answer_cache").new {
      dict = ngx.shared.cache,
      bytes = 16000,
      headers = { "x-tenant" },
    },
    shared_records = { put = function() end, written = function() end, remove = function() end },
    groups = { is_known = function() return true end },
    history = {},
    feeds = {},
    flusher = { due = {}, add = function(self, outbox) self.due[#self.due + 1] = outbox end },
  }
  for name, part in pairs(parts or {}) do
    worker[name] = part
  end
  for _, name in ipairs(WIRED) do
    require("framegate." .. name).wire(worker)
  end
  return worker
end

--- The handler answers an event.
---@param event Event
---@param answer table? status, headers, body; by default 204
function Worker.answer(event, answer)
  answer = answer or {}
  event.connection:answered(event, {
    status = answer.status or (answer.body and 200 or 204),
    headers = answer.headers or {},
    body = answer.body or "",
    failure = answer.failure,
    error = answer.error,
  })
end

--- A connection that was accepted, and the transport that carries it, with a fake in place of its socket.
---@param worker table
---@param wanted table? as Options.of takes it
---@return Connection
---@return table transport notes who was woken
function Worker.open(worker, wanted)
  local Connection = require "framegate.socket.connection"
  local Options = require "framegate.socket.options"
  local connection = Connection.new { id = "id", path = "/ws/echo", lines = "host: a\r\nx-forwarded-for: 1.2.3.4\r\n" }
  connection:register(Options.of(wanted or {}))
  local transport = Worker.transport()
  connection:open(transport)
  return connection, transport, worker
end

--- A fake transport, which notes who was woken and what it has written first.
---@return table
function Worker.transport()
  return {
    woken = 0,
    readers_woken = 0,
    wake = function(self) self.woken = self.woken + 1 end,
    wake_reader = function(self) self.readers_woken = self.readers_woken + 1 end,
    begin = require("framegate.socket.transport").begin,
    limit_reading = function() end,
    write = function(self, data)
      self.first = data
      return not self.is_broken
    end,
    abandon = function(self) self.is_abandoned = true end,
    send_away = function(self) self.is_sent_away = true end,
  }
end

--- A connection with a session that was opened with the key "nonce", its transport, and what Attachment knows it by.
---@param worker table
---@param facts table? of the session; by default it is kept for 60 s
---@return Connection
---@return table transport
function Worker.open_session(worker, facts)
  local Attachment = require "framegate.socket.attachment"
  local Connection = require "framegate.socket.connection"
  local Options = require "framegate.socket.options"
  local Random = require "framegate.runtime.random"
  local Session = require "framegate.session.session"
  local id = "nodeworker" .. Random.name(8)
  local connection = Connection.new { id = id, path = "/ws/echo", lines = "host: a\r\nx-forwarded-for: 1.2.3.4\r\n" }
  connection:register(Options.of {})
  connection:begin_session(Session.new(id, "nonce", facts or { keep = 60 }))
  local transport = Worker.transport()
  Attachment.open(connection, transport, { key = "nonce" })
  return connection, transport, worker
end

--- Everything that waits in an outbox, as if it were written.
---@param connection Connection
---@return string
function Worker.written(connection)
  local bytes = connection.outbox:take() or ""
  connection.outbox:sent(#bytes)
  return bytes
end

return Worker
