-- Takes a socket from the worker that holds it, because its client has come back here. hand_over.lua is the other side, and
-- describes both.

local Entry = require "framegate.socket.entry"
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
local LOOK_SECONDS = 0.01
local WAIT_SECONDS = 20 -- longer than each step of a move may take together

local members, holders, dispatch, registry, groups, carriers

--- Gives this module the instances of its worker.
---@param worker Worker
function TakeOver.wire(worker)
  members, holders, dispatch = worker.members, worker.holders, worker.dispatch
  registry, groups, carriers = worker.registry, worker.groups, worker.carriers
end

local function own() return members:node() .. members:worker() end

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
    Orphans.add(id, text)
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

-- The other side may be killed while this one gets what that has sent.
local function await_fetch(connection)
  while connection.moving and connection.moving.is_fetching do
    ngx.sleep(LOOK_SECONDS)
  end
end

-- The worker to which another one has given a socket. A worker of this node that was killed cannot answer, but Places knows.
local function next_holder(id, holder, begun)
  if begun and not begun.is_gone then
    return begun.moved
  end
  local current = Places.holder(id)
  local is_known = Places.split(holder) == members:node() and current ~= holder and current ~= own()
  return is_known and current or nil
end

-- What the other side needs to know of a client.
local function described(client)
  if client then
    local key, received = client.key, client.received
    return { key = key, received = received, path = client.path, lines = client.lines, offered = client.offered }
  end
end

-- Begins with the worker that has the socket. It may have moved meanwhile. Returns also that worker.
local function begin(id, holder, client)
  local begun, is_unsure
  local args = { id = id, client = described(client), to = own() }
  for _ = 1, MOST_MOVES do
    begun, is_unsure = carriers:ask(holder, "begin_hand_over", args)
    local next_one = next_holder(id, holder, begun)
    if next_one == own() then
      return { is_busy = true }, holder -- it has come here meanwhile
    elseif not next_one then
      break
    end
    holder = next_one
  end
  return begun or { is_busy = is_unsure, is_gone = true }, holder
end

local function move(id, first_holder, client)
  local begun, holder = begin(id, first_holder, client)
  if begun.is_busy or begun.is_gone and Places.is_moving(id) or registry:get(id) then
    return nil, "busy" -- it moves, or another transport of its client was faster
  elseif begun.is_gone or begun.moved then
    return nil, "gone"
  elseif begun.is_refused then
    return nil
  end
  local connection = Entry.enter(id, begun)
  local moving = connection.moving
  groups:await()
  local is_off = not carriers:await_sent(holder) or nil
  carriers:ask(holder, "finish_hand_over", { id = id, to = own(), move = begun.move, is_off = is_off })
  await_fetch(connection)
  if connection.moving == moving then
    abandon(connection, holder)
    return nil, "busy"
  end
  Lifecycle.move_ended(true)
  if connection.phase ~= "open" then
    return nil, "busy" -- it has moved on already, or has ended
  end
  return connection
end

-- Moves a socket in a thread of its own, because nginx may end the one of the handshake. A worker that shuts down lives until
-- the move is over. One that has nothing left reaches no others any more.
local function begin_move(id, holder, client, on_done)
  if members:has_left() then
    return on_done(nil, "busy")
  end
  dispatch:hold(1)
  local function finish(connection, err)
    dispatch:hold(-1)
    on_done(connection, err)
    dispatch:check_idle()
  end
  Threads.run(function()
    local ok, connection, err = xpcall(move, debug.traceback, id, holder, client)
    if not ok then
      Log.error(id, "taking a socket over failed: ", connection)
      connection, err = nil, "busy"
    end
    finish(connection, err)
  end, nil, function() finish(nil, "busy") end)
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
  Entry.settle(registry:get(args.id), facts, items)
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
    Entry.enter(facts.id, { path = facts.path, handshake = facts.handshake, user = facts.user, topics = topics })
  Entry.settle(connection, facts, items)
  return true
end

--- Takes a session from a node that stops. Does not yield.
---@param id string
---@param holder string names of the node and the worker that have it
---@param on_done fun()
function TakeOver.adopt(id, holder, on_done) begin_move(id, holder, nil, on_done) end

return TakeOver
