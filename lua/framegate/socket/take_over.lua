-- Takes a socket from the worker that holds it, because its client has come back here. hand_over.lua is the other side, and
-- describes both.

local AddressCount = require "framegate.socket.address_count"
local Attachment = require "framegate.socket.attachment"
local Baggage = require "framegate.socket.baggage"
local Connection = require "framegate.socket.connection"
local Lifecycle = require "framegate.telemetry.lifecycle"
local Log = require "framegate.runtime.log"
local Moving = require "framegate.socket.moving"
local Orphans = require "framegate.socket.orphans"
local Parcel = require "framegate.session.parcel"
local Places = require "framegate.session.places"
local Record = require "framegate.socket.record"
local Threads = require "framegate.runtime.threads"
local semaphore = require "ngx.semaphore"

local TakeOver = {}

local WAIT_SECONDS = 20 -- longer than each step of a move may take together

local own, registry, groups, feeds, carriers

--- Gives this module the instances of its worker.
---@param worker Worker
function TakeOver.wire(worker)
  own = worker.members:node() .. worker.members:worker()
  registry, groups, feeds = worker.registry, worker.groups, worker.feeds
  carriers = worker.carriers
end

-- Enters a socket that gathers what is pushed to it.
local function enter(id, facts)
  local connection = Connection.new { id = id, path = facts.path, lines = facts.handshake }
  Moving.begin(connection, true)
  registry:add(connection)
  for _, topic in ipairs(facts.topics) do
    registry:subscribe(connection, topic)
  end
  registry:name_user(connection, facts.user)
  return connection
end

local function ignore() end
local NO_JOURNAL = { remove = ignore, close = ignore }

-- The socket did not come. If the other side died after it had sent it, nobody but this worker owes its close event.
local function abandon(connection)
  local id = connection.id
  connection.phase = "ended"
  registry:remove(connection)
  Moving.finish(connection)
  local text = Places.holder(id) == own and Record.text_of(id)
  if text then
    Orphans.add(id, text, { journal = NO_JOURNAL })
  end
end

local function has_arrived(connection) return connection.phase == "open" end

-- Whether a socket has left a worker of this node for another one.
local function has_moved_on(id, holder) return Places.split(holder) == Places.split(own) and Places.holder(id) ~= holder end

local function move(id, holder, client)
  local begun = carriers:ask(holder, "begin_hand_over", { id = id, client = client })
  -- Another transport of its client may be faster.
  if begun and (begun.is_busy or begun.is_gone and has_moved_on(id, holder)) or registry:get(id) then
    return nil, "busy"
  elseif not begun or begun.is_gone then
    return nil, "gone"
  elseif begun.is_refused then
    return nil
  end
  local connection = enter(id, begun)
  groups:await()
  carriers:ask(holder, "finish_hand_over", { id = id, to = own })
  if not has_arrived(connection) then
    abandon(connection)
    return nil, "busy"
  end
  return connection
end

-- Moves a socket in a thread of its own, because nginx may end the one of the handshake.
local function begin_move(id, holder, client, on_done)
  Threads.run(function()
    local ok, connection, err = xpcall(move, debug.traceback, id, holder, client)
    if not ok then
      Log.error(id, "taking a socket over failed: ", connection)
      connection, err = nil, "busy"
    end
    on_done(connection, err)
  end, nil, function() on_done(nil, "busy") end)
end

--- Takes a socket from another worker. Yields.
---@param id string
---@param holder string names of the node and the worker that have it
---@param client Return
---@return Connection? connection of this worker
---@return "busy"|"gone"? err "busy" when it may succeed later, "gone" when it is not there; nil when it is refused
function TakeOver.fetch(id, holder, client)
  local done, connection, err = semaphore.new(), nil, "busy"
  begin_move(id, holder, client, function(found, failure)
    connection, err = found, failure
    done:post()
  end)
  done:wait(WAIT_SECONDS)
  return connection, err
end

-- Subscribes to the kept topics, behind what was delivered on the other side.
local function follow(connection, kept)
  for _, entry in ipairs(kept) do
    local wanted = { topic = entry.topic, otherwise = "last", is_patient = true }
    if entry.position == "" then
      wanted.last = math.huge
    else
      wanted.after = entry.position
    end
    feeds:subscribe(connection, wanted, ignore)
  end
end

-- Gives a socket that was entered here what it had on the other side, and then what was gathered.
local function settle(connection, facts, items)
  local gathered = connection.moving.buffer
  Baggage.restore(connection, facts, items)
  connection.session.behind = facts.more.delivered
  connection.moving.buffer = nil
  Record.adopt(connection)
  AddressCount.add(connection)
  Lifecycle.moved(1)
  Attachment.arrive(connection, facts.away_seconds)
  follow(connection, facts.more.kept)
  for _, message in ipairs(gathered) do
    connection:offer(message)
  end
  Moving.finish(connection)
  connection:advance()
end

--- Accepts a socket that another worker sends.
---@param args { id: string }
---@param parcel string
---@return { ok: boolean } result
function TakeOver.take(args, parcel)
  local connection = registry:get(args.id)
  local moving = connection and connection.moving
  local facts, items = Parcel.unpack(parcel)
  if not moving or not moving.buffer or not facts or not Places.move(args.id, own) then
    return { ok = false }
  end
  settle(connection, facts, items)
  return { ok = true }
end

--- Goes on with a session that the stopped gateway kept. Does not yield.
---@param facts table as Parcel.unpack gives them
---@param items string[]
---@return boolean ok false when it is here already
function TakeOver.unpark(facts, items)
  if registry:get(facts.id) or Record.text_of(facts.id) or not Places.move(facts.id, own) then
    return false
  end
  local kept = {}
  for _, entry in ipairs(facts.more.kept) do
    kept[entry.topic] = true
  end
  local topics = {}
  for _, topic in ipairs(facts.topics or {}) do
    topics[#topics + 1] = not kept[topic] and topic or nil
  end
  local connection =
    enter(facts.id, { path = facts.path, handshake = facts.handshake, user = facts.user, topics = topics })
  settle(connection, facts, items)
  return true
end

--- Takes a session from a node that stops. Does not yield.
---@param id string
---@param holder string names of the node and the worker that have it
---@param on_done fun()
function TakeOver.adopt(id, holder, on_done) begin_move(id, holder, nil, on_done) end

return TakeOver
