-- Gives a socket to another worker, to which its client has come back. take_over.lua is the other side.
--
-- A publication reaches all workers, but not at the same moment. So that the socket gets each one once:
--   1. The new side asks for its topics and user (`begin`). From now on no event goes out here, and requests for it wait.
--   2. The new side enters it with these, gathers what is pushed to it, and asks for the socket (`finish`).
--   3. Here it goes on until everything is delivered that was published before: every worker has answered an echo, and
--      messages between two workers keep their order. Then it is packed, with the last publication of each worker.
--   4. The new side drops what was delivered here.
-- If a worker dies in between, the other one has the socket as it was, or its client gets a new one.

local Attachment = require "framegate.socket.attachment"
local Baggage = require "framegate.socket.baggage"
local Clock = require "framegate.runtime.clock"
local Deadlines = require "framegate.runtime.deadlines"
local Moving = require "framegate.socket.moving"
local Places = require "framegate.session.places"
local Resumption = require "framegate.socket.resumption"
local Streaming = require "framegate.socket.streaming"

local HandOver = {}

local ANSWER_SECONDS = 4 -- for the answer to the event in flight
local STREAM_SECONDS = 1 -- for one that streams, which is ended then
local CUT_SECONDS = 0.5 -- for the end of that
local ECHO_SECONDS = 2
local WHOLE_SECONDS = 15 -- for the whole move

local own, registry, bus, origins, feeds, carriers

--- Gives this module the instances of its worker.
---@param worker Worker
function HandOver.wire(worker)
  own = worker.members:node() .. worker.members:worker()
  registry, bus, origins, feeds = worker.registry, worker.bus, worker.origins, worker.feeds
  carriers = worker.carriers
end

local function cancel(connection)
  if connection.moving and connection.phase == "open" then
    Moving.finish(connection)
    connection:advance()
  end
end

local deadlines

-- The new side is gone, or the handler is too slow: the socket stays. A stream is ended, and then the socket moves.
local function give_up(item)
  local moving = item.connection.moving
  if moving == item.moving and item.connection.stream and not item.has_cut then
    item.has_cut, item.at = true, Clock.monotonic() + CUT_SECONDS
    deadlines:add(item)
    return Streaming.cut(item.connection)
  elseif moving == item.moving then
    local on_answered = moving.on_answered
    cancel(item.connection)
    if on_answered then
      on_answered(true)
    end
  end
end

deadlines = Deadlines.new("giving up moves of sockets", give_up)

local late_echoes = Deadlines.new("the end of a wait for echoes", function(item) item.run() end)

-- Calls a function once when every worker has answered. One that stands still is not waited for.
local function await_echoes(run)
  local item = { at = Clock.monotonic() + ECHO_SECONDS }
  function item.run()
    if not item.is_over then
      item.is_over = true
      late_echoes:remove(item)
      run()
    end
  end
  late_echoes:add(item)
  bus:ask_all({ op = "echo", args = {}, payload = "" }, item.run)
end

-- Frames of kept topics are not gathered: the new side reads from the history what comes behind the last delivered one.
local function topics_of(connection)
  local topics, kept = {}, {}
  for _, topic in ipairs(connection.topics or {}) do
    local position = feeds:position_of(connection, topic)
    if position then
      kept[#kept + 1] = { topic = topic, position = position }
    else
      topics[#topics + 1] = topic
    end
  end
  return topics, kept
end

--- The kept topics of a connection, and where it is in them.
---@param connection Connection
---@return { topic: string, position: string }[]
function HandOver.kept_of(connection)
  local _, kept = topics_of(connection)
  return kept
end

local function facts_of(connection)
  local topics = topics_of(connection)
  return { path = connection.path, handshake = connection.handshake, user = connection.user, topics = topics }
end

local function limit(connection, seconds)
  local item = { at = Clock.monotonic() + seconds, connection = connection, moving = connection.moving }
  deadlines:add(item)
  Moving.wait(connection, function() deadlines:remove(item) end)
end

--- Begins to give a socket away. Its transport is taken from it.
---@param args { id: string, client: Return? } without a client, this gateway stops, and another node takes the socket
---@return table|fun(reply: fun(result: table)) result facts of the socket, or `is_gone`, `is_refused` or `is_busy`
function HandOver.begin(args)
  local connection = registry:get(args.id)
  if not connection or connection.phase == "ended" then
    return { is_gone = true }
  elseif connection.phase == "opening" or connection.moving or connection.session and connection.session.returning then
    return { is_busy = true }
  elseif args.client and not Resumption.fits(connection, args.client) then
    return { is_refused = true }
  end
  Attachment.release(connection)
  if connection.phase ~= "open" then
    return { is_gone = true }
  end
  Moving.begin(connection, false)
  if not connection.is_in_flight then
    limit(connection, WHOLE_SECONDS)
    return facts_of(connection)
  end
  return function(reply)
    limit(connection, connection.stream and STREAM_SECONDS or ANSWER_SECONDS)
    connection.moving.on_answered = function(is_late)
      if is_late then
        return reply { is_busy = true }
      end
      limit(connection, WHOLE_SECONDS)
      reply(facts_of(connection))
    end
  end
end

local function pack(connection)
  return Baggage.pack(connection, { delivered = origins:vector(), kept = HandOver.kept_of(connection) })
end

-- Sends the socket, and forgets it once the other side has it.
local function send(connection, to, reply)
  local id, moving = connection.id, connection.moving
  if not Places.move(id, to) then
    cancel(connection)
    return reply { is_gone = true }
  end
  carriers:send(to, { id = id }, pack(connection), function(result)
    local has_moved = result ~= nil and result.ok == true
    if has_moved then
      connection:leave()
    else
      Places.move(id, own)
      if connection.moving == moving then
        cancel(connection)
      end
    end
    reply { ok = has_moved }
  end)
end

--- Gives the socket away, once everything is delivered that was published before.
---@param args { id: string, to: string } `to`: names of the node and the worker that get it
---@return table|fun(reply: fun(result: table)) result with `ok`
function HandOver.finish(args)
  local connection = registry:get(args.id)
  local moving = connection and connection.moving
  if not moving or moving.buffer then
    return { is_gone = true }
  end
  return function(reply)
    await_echoes(function()
      if connection.moving ~= moving then
        return reply { is_gone = true }
      end
      send(connection, args.to, reply)
    end)
  end
end

return HandOver
