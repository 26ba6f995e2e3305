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

local MOST_MOVES = 4 -- of a socket while one request looks for it
local WAIT_SECONDS = 20 -- longer than each step of a move may take together

local members, holders, dispatch, registry, groups, feeds, carriers

--- Gives this module the instances of its worker.
---@param worker Worker
function TakeOver.wire(worker)
  members, holders, dispatch = worker.members, worker.holders, worker.dispatch
  registry, groups, feeds = worker.registry, worker.groups, worker.feeds
  carriers = worker.carriers
end

local function own() return members:node() .. members:worker() end

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

-- Gives back a socket that was sent to this worker, which has not taken it. If its worker was killed, nobody but this one
-- owes its close event.
local function give_back(id, holder)
  local node, worker = Places.split(holder)
  if Places.holder(id) ~= own() or node ~= members:node() then
    return
  elseif holders:is_living(worker) then
    Places.move(id, holder)
    return
  end
  local text = Record.text_of(id)
  if text then
    Orphans.add(id, text, { journal = NO_JOURNAL })
  end
end

-- The socket did not come.
local function abandon(connection, holder)
  Lifecycle.move_ended(false)
  connection.phase = "ended"
  registry:remove(connection)
  Moving.finish(connection)
  give_back(connection.id, holder)
  dispatch:check_idle()
end

local function has_arrived(connection) return connection.phase == "open" end

-- Begins with the worker that has the socket. It may have moved meanwhile. Returns also that worker.
local function begin(id, holder, client)
  local begun, is_unsure
  for _ = 1, MOST_MOVES do
    begun, is_unsure = carriers:ask(holder, "begin_hand_over", { id = id, client = client, to = own() })
    if not begun or not begun.moved then
      break
    end
    holder = begun.moved
  end
  return begun or { is_busy = is_unsure, is_gone = true }, holder
end

-- Whether a socket has left a worker of this node for another one.
local function has_moved_on(id, holder) return Places.split(holder) == members:node() and Places.holder(id) ~= holder end

local function move(id, first_holder, client)
  local begun, holder = begin(id, first_holder, client)
  if begun.is_busy or begun.is_gone and has_moved_on(id, holder) or registry:get(id) then
    return nil, "busy" -- another transport of its client was faster
  elseif begun.is_gone or begun.moved then
    return nil, "gone"
  elseif begun.is_refused then
    return nil
  end
  local connection = enter(id, begun)
  groups:await()
  carriers:await_sent(holder)
  carriers:ask(holder, "finish_hand_over", { id = id, to = own() })
  if not has_arrived(connection) then
    abandon(connection, holder)
    return nil, "busy"
  end
  Lifecycle.move_ended(true)
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

-- Delivers what was gathered. A topic may have become one that is followed only after this move had begun, when the other side
-- knew where it is in it. Then its frames come from the history.
local function offer(connection, gathered, kept)
  local is_followed = {}
  for _, entry in ipairs(kept) do
    is_followed[entry.topic] = true
  end
  for _, message in ipairs(gathered) do
    if not is_followed[message.topic or ""] then
      connection:offer(message)
    end
  end
end

-- Gives a socket that was entered here what it had on the other side, and then what was gathered.
local function settle(connection, facts, items)
  local gathered = connection.moving.buffer
  Baggage.restore(connection, facts, items)
  connection.session.behind = facts.more.delivered
  connection.moving.buffer = nil
  local node = members:node()
  connection.home = node ~= connection.id:sub(1, #node) and node or nil
  Record.adopt(connection)
  AddressCount.add(connection)
  Lifecycle.moved(1)
  Attachment.arrive(connection, facts.away_seconds)
  follow(connection, facts.more.kept)
  offer(connection, gathered, facts.more.kept)
  Moving.finish(connection)
  connection:advance()
end

-- Whether this worker becomes the holder of a socket. Within a node, the other side may have taken it back.
local function claim(args)
  if args.parcel then
    return Places.move(args.id, own())
  end
  local is_this_life = Places.split(args.from) == members:node()
  return is_this_life and Places.decide(args.id, "taken") == "taken" and Places.move(args.id, own())
end

--- Whether a socket is expected from another worker.
---@param id string
---@return boolean
function TakeOver.expects(id)
  local connection = registry:get(id)
  return connection ~= nil and connection.moving ~= nil and connection.moving.buffer ~= nil
end

--- Accepts a socket that another worker sends.
---@param args { id: string, from: string, parcel: string? } `from`: names of its node and worker; `parcel` when that is
--- another node
---@param parcel string
---@return { ok: boolean } result
function TakeOver.take(args, parcel)
  local facts, items = Parcel.unpack(parcel)
  if not TakeOver.expects(args.id) or not facts or not claim(args) then
    give_back(args.id, args.from)
    return { ok = false }
  end
  settle(registry:get(args.id), facts, items)
  return { ok = true }
end

--- Goes on with a session that the stopped gateway kept. Does not yield.
---@param facts table as Parcel.unpack gives them
---@param items string[]
---@return boolean ok false when it is here already
function TakeOver.unpark(facts, items)
  if registry:get(facts.id) or Record.text_of(facts.id) or not Places.move(facts.id, own()) then
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
