-- Gives a socket to another worker, to which its client has come back. take_over.lua is the other side.
--
-- A publication reaches all workers, but not at the same moment. So that the socket gets each one once:
--   1. The new side asks for its topics and user (`begin`). From now on no event goes out here, and requests for it wait.
--   2. The new side enters it with these, gathers what is pushed to it, and asks for the socket (`finish`).
--   3. Here it goes on until everything is delivered that was published before: every worker has answered an echo, and
--      messages between two workers keep their order. Then it is packed, with the last publication of each worker.
--   4. The new side drops what was delivered here.
-- While another worker stands still, the socket stays here: that worker may have sent a publication to the new side, before
-- that had the socket, and not to this one.
-- If a worker dies in between, the other one has the socket as it was, or its client gets a new one.

local Attachment = require "framegate.socket.attachment"
local Baggage = require "framegate.socket.baggage"
local Clock = require "framegate.runtime.clock"
local Deadlines = require "framegate.runtime.deadlines"
local Echoes = require "framegate.socket.echoes"
local Entry = require "framegate.socket.entry"
local Moving = require "framegate.socket.moving"
local Places = require "framegate.session.places"
local Record = require "framegate.socket.record"
local Relay = require "framegate.socket.relay"
local Resumption = require "framegate.socket.resumption"
local Streaming = require "framegate.socket.streaming"

local HandOver = {}

local ANSWER_SECONDS = 4 -- for the answer to the event in flight
local STREAM_SECONDS = 1 -- for one that streams and cannot go along, which is ended then
local CUT_SECONDS = 0.5 -- for the end of that
local WHOLE_SECONDS = 15 -- for the whole move

local members, registry, origins, carriers

--- Gives this module the instances of its worker.
---@param worker Worker
function HandOver.wire(worker)
  members, registry = worker.members, worker.registry
  origins, carriers = worker.origins, worker.carriers
  worker.bus:watch(HandOver.lost)
end

local function own() return members:node() .. members:worker() end

local function cancel(connection)
  if connection.moving and connection.phase == "open" then
    Moving.finish(connection)
    connection:advance()
  end
end

-- The new side is gone, or the handler is too slow: the socket stays. One that was sent may be on the new side.
local function give_up(item)
  local moving = item.connection.moving
  if moving == item.moving and not moving.is_sent then
    local on_answered = moving.on_answered
    cancel(item.connection)
    if on_answered then
      on_answered(true)
    end
  end
end

local leaving = {} -- the moves that have begun, as items of `deadlines`, by connection
local last = 0 -- number of the last one

local deadlines

-- A stream that cannot go along, and takes long, is ended. Then the socket moves.
local function on_due(item)
  local connection = item.connection
  local is_waiting = connection.moving == item.moving and item.moving.on_answered
  if is_waiting and connection.stream and not item.has_cut then
    item.has_cut, item.at = true, Clock.monotonic() + CUT_SECONDS
    deadlines:add(item)
    return Streaming.cut(connection)
  end
  give_up(item)
end

deadlines = Deadlines.new("giving up moves of sockets", on_due)

local function facts_of(connection)
  return {
    path = connection.path,
    handshake = connection.handshake,
    user = connection.user,
    topics = (Entry.topics_of(connection)),
    filters = connection.grip and connection.grip.filters,
    move = leaving[connection].number,
  }
end

-- Begins a move. A streamed answer goes along within this node.
local function begin(connection, to)
  Moving.begin(connection, false)
  connection.moving.takes_stream = Places.split(to) == members:node()
  last = last + 1
  local item = { number = last, connection = connection, moving = connection.moving, to = to }
  item.at = Clock.monotonic() + WHOLE_SECONDS
  deadlines:add(item)
  leaving[connection] = item
  Moving.wait(connection, function()
    leaving[connection] = nil
    deadlines:remove(item)
  end)
end

-- Sets how long the move may take from now on.
local function limit(connection, seconds)
  local item = leaving[connection]
  deadlines:remove(item)
  item.at = Clock.monotonic() + seconds
  deadlines:add(item)
end

--- Stops giving a socket to a worker, unless it was sent: its client has left that worker, and comes back to another one.
---@param connection Connection
---@param to string? names of the node and the worker that its client has come to, if that is not this one. A move to there
--- goes on, because the client comes again to what it brings.
function HandOver.recall(connection, to)
  local item = leaving[connection]
  if item and item.to ~= to then
    give_up(item)
  end
end

local function give_up_all(to)
  local items = {}
  for _, item in pairs(leaving) do
    items[#items + 1] = (not to or item.to == to) and item or nil
  end
  for _, item in ipairs(items) do
    give_up(item)
  end
end

--- Ends the moves to a worker of this node that was killed.
---@param name string
function HandOver.lost(name) give_up_all(members:node() .. name) end

--- Stops giving all sockets away that were not sent: the time of a stop is over, and a file keeps them.
function HandOver.recall_all() give_up_all(nil) end

--- Begins to give a socket away. Its transport is taken from it.
---@param args { id: string, client: Return?, to: string } without a client, this gateway stops, and another node takes the
--- socket; `to`: names of the node and the worker that get it
---@return table|fun(reply: fun(result: table)) result facts of the socket; `moved`, with the names of the node and the worker
--- that have it; or `is_gone`, `is_refused` or `is_busy`
function HandOver.begin(args)
  local connection = registry:get(args.id)
  if not connection or connection.phase == "ended" then
    local holder = Places.holder(args.id)
    return holder ~= own() and { moved = holder } or { is_gone = true }
  end
  if args.client and Resumption.has_key(connection, args.client) then
    HandOver.recall(connection, args.to)
  end
  if connection.phase == "opening" or connection.moving or connection.session and connection.session.returning then
    return { is_busy = true }
  elseif args.client and not Resumption.accepts(connection, args.client) then
    return { is_refused = true }
  end
  Attachment.release(connection)
  if connection.phase ~= "open" then
    return { is_gone = true }
  end
  begin(connection, args.to)
  if Moving.is_ready(connection) then
    return facts_of(connection)
  end
  limit(connection, connection.stream and STREAM_SECONDS or ANSWER_SECONDS)
  return function(reply)
    connection.moving.on_answered = function(is_late)
      if is_late then
        return reply { is_busy = true }
      end
      limit(connection, WHOLE_SECONDS)
      reply(facts_of(connection))
    end
  end
end

-- What was delivered where the socket was before may be on its way to this worker, if a link was cut.
local function pack(connection, relay)
  local delivered, stream = origins:vector(connection.session.behind), relay and relay:facts()
  return Baggage.pack(connection, { delivered = delivered, kept = Entry.kept_of(connection), stream = stream })
end

-- Sends the socket, and forgets it once the other side has it. One that has lost a message, or was closed, ends instead.
local function send(connection, to, reply)
  local id, moving, node = connection.id, connection.moving, members:node()
  local is_elsewhere = Places.split(to) ~= node
  local is_over = moving.has_overflowed or moving.has_close
  if is_over or not Places.begin_move(id, own(), to) or not Places.move(id, to, is_elsewhere) then
    Places.end_move(id, own(), to)
    cancel(connection)
    return reply { is_gone = true }
  end
  moving.is_sent = true
  local args = { id = id, from = own(), text = is_elsewhere and Record.text_of(id) or nil }
  local relay = connection.stream and Relay.begin(connection, select(2, Places.split(to)))
  carriers:send(to, args, pack(connection, relay), function(has_moved)
    if relay then
      relay:settle(connection, has_moved)
    end
    if has_moved then
      Places.end_move(id, own(), to)
      connection:leave()
    else
      Places.move(id, own())
      if is_elsewhere then
        Places.end_move(id, own(), to) -- within the node the decision stays, in case that the other side is only slow
      end
      Record.restore(connection)
      cancel(connection)
    end
    reply { ok = has_moved }
  end)
end

--- Gives the socket away, once everything is delivered that was published before.
---@param args { id: string, to: string, move: integer, is_off: boolean? } `to`: names of the node and the worker that get it;
--- `move` as `begin` gave it; `is_off`: the other side does not want it now
---@return table|fun(reply: fun(result: table)) result with `ok`
function HandOver.finish(args)
  local connection = registry:get(args.id)
  local moving = connection and connection.moving
  local item = leaving[connection]
  if not moving or not item or item.to ~= args.to or item.number ~= args.move or moving.is_sent then
    return { is_gone = true }
  elseif args.is_off then
    give_up(item)
    return { is_gone = true }
  end
  return function(reply)
    Echoes.await(function(is_complete)
      local is_current = connection.moving == moving
      if is_current and is_complete then
        return send(connection, args.to, reply)
      elseif is_current then
        cancel(connection)
      end
      reply { is_gone = true }
    end)
  end
end

return HandOver
