-- A worker of fakes whose sockets move to others and come from them. It notes what it asks other workers, and a spec answers.

local Worker = require "support.worker"
local Loop = require "support.event_loop"
local Arrival = require "framegate.socket.arrival"
local Baggage = require "framegate.socket.baggage"
local Echoes = require "framegate.socket.echoes"
local Entry = require "framegate.socket.entry"
local Giving = require "framegate.socket.giving"
local HandOver = require "framegate.socket.hand_over"
local Origins = require "framegate.push.origins"
local Orphans = require "framegate.socket.orphans"
local Parking = require "framegate.socket.parking"
local Registry = require "framegate.push.registry"
local Resumption = require "framegate.socket.resumption"
local TakeOver = require "framegate.socket.take_over"

local Moves = {}

local function note(list, entry) list[#list + 1] = entry end

local function new_bus()
  return {
    asked = {},
    watch = function(self, on_lost) self.lose = on_lost end,
    when_sent = function(_, run) run() end,
    ask_all = function(self, request, on_result) note(self.asked, { op = request.op, answer = on_result }) end,
  }
end

local function new_carriers()
  return {
    asked = {},
    sent = {},
    offered = {},
    answers = {}, -- by operation: a result, or a function that gives it
    ask = function(self, holder, op, args)
      note(self.asked, { holder, op, args })
      local answer = self.answers[op]
      if type(answer) == "function" then
        return answer(args)
      end
      return answer
    end,
    send = function(self, to, args, parcel, on_result)
      note(self.sent, { to = to, args = args, parcel = parcel, answer = on_result })
    end,
    await_sent = function(self) return not self.is_unsent end,
    settle = function() end,
    fetch = function(self, args, on_done) note(self.sent, { fetched = args, answer = on_done }) end,
    others = function(self) return self.nodes or {} end,
    offer = function(self, node, args, on_done) note(self.offered, { node = node, args = args, done = on_done }) end,
  }
end

-- `positions` holds where sockets are in kept topics. A test notes what was followed.
local function new_feeds()
  return {
    positions = {},
    followed = {},
    position_of = function(self, _, topic) return self.positions[topic] end,
    subscribe = function(self, _, wanted) note(self.followed, wanted) end,
  }
end

--- A new one. Threads of the spec before are over.
---@return table worker
function Moves.worker()
  Loop.run(1e6)
  Loop.reset()
  local worker = Worker.new {
    registry = Registry.new { max_topics = 10000 },
    origins = Origins.new "nodeworker",
    bus = new_bus(),
    carriers = new_carriers(),
    feeds = new_feeds(),
    groups = { is_known = function() return true end, await = function() end },
    nodes = { is_alone = function() return true end },
  }
  worker.holders.is_living = function() return false end -- the worker of a socket that does not come was killed
  for _, module in ipairs { HandOver, TakeOver, Arrival, Parking, Giving, Entry, Resumption, Orphans, Echoes } do
    module.wire(worker)
  end
  return worker
end

--- Ends all sockets of a spec.
---@param worker table
function Moves.finish(worker)
  local connections = {}
  for _, connection in pairs(worker.registry:all()) do
    note(connections, connection)
  end
  for _, connection in ipairs(connections) do
    if connection.phase ~= "ended" then
      connection:finish()
    end
  end
end

--- A session that another worker had, as it sends it. This worker has forgotten it.
---@param worker table
---@param more table? what `pack` gets besides the defaults
---@param prepare fun(connection: Connection)?
---@return string parcel
---@return string id
function Moves.parcel(worker, more, prepare)
  local Attachment = require "framegate.socket.attachment"
  local connection, transport = Worker.open_session(worker)
  if prepare then
    prepare(connection)
  end
  Attachment.ended(connection, transport)
  local parcel = Baggage.pack(connection, more or { delivered = {}, kept = {} })
  connection:leave()
  return parcel, connection.id
end

--- The client of a session, with what it needs to come back.
---@param connection Connection
---@return Return
function Moves.client(connection)
  return {
    key = connection.session.token,
    is_new = false,
    received = 0,
    path = connection.path,
    lines = connection.handshake,
  }
end

return Moves
