-- What becomes of sessions when the gateway stops: another node takes them, or a file keeps them for the next start.

local Attachment = require "framegate.socket.attachment"
local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local Log = require "framegate.runtime.log"
local Moving = require "framegate.socket.moving"
local ParkedFile = require "framegate.socket.parked_file"
local Places = require "framegate.session.places"
local Streaming = require "framegate.socket.streaming"
local TakeOver = require "framegate.socket.take_over"
local Task = require "framegate.runtime.task"

local Parking = {}

local NO_WORKER = "------" -- in place of a worker's name
local LOAD_SECONDS = 60 -- for which a client that comes back waits until its session is read
local ADOPT_SECONDS, STEP_SECONDS = 3, 0.02
local MOST_UNDER_WAY = 64

local members, registry, nodes, carriers

--- Gives this module the instances of its worker.
---@param worker Worker
function Parking.wire(worker)
  members, registry, nodes, carriers = worker.members, worker.registry, worker.nodes, worker.carriers
end

local function own() return members:node() .. members:worker() end

-- The sessions of this worker that can leave it now. Their transports are taken from them.
local function sessions()
  local list = {}
  for _, connection in pairs(registry:all()) do
    if connection.session and connection.phase == "open" and not connection.moving then
      list[#list + 1] = connection
    end
  end
  for i = #list, 1, -1 do
    Attachment.release(list[i])
    if list[i].stream then
      Streaming.cut(list[i])
    end
    if list[i].is_in_flight or list[i].phase ~= "open" then
      table.remove(list, i)
    end
  end
  return list
end

--- Whether every socket of this worker is a session whose client is away, and no node could take it.
---@return boolean
function Parking.is_alone()
  for _, connection in pairs(registry:all()) do
    if not connection:is_detached() or connection.is_in_flight then
      return false
    end
  end
  return nodes:is_alone()
end

-- Offers sessions to other nodes, some at a time, each to the next one. Takes nodes that stop, too, out of the list.
local function offer(list, others, deadline)
  local under_way, next_one = 0, 1
  local function ended(node, is_stopping)
    under_way = under_way - 1
    for i = #others, 1, -1 do
      if is_stopping and others[i] == node then
        table.remove(others, i)
      end
    end
  end
  while others[1] and (next_one <= #list or under_way > 0) and Clock.monotonic() < deadline do
    while others[1] and next_one <= #list and under_way < MOST_UNDER_WAY do
      under_way = under_way + 1
      local node = others[next_one % #others + 1]
      local args = { id = list[next_one].id, holder = own() }
      carriers:offer(node, args, function(is_stopping) ended(node, is_stopping) end)
      next_one = next_one + 1
    end
    ngx.sleep(STEP_SECONDS)
  end
end

-- Offers the sessions of this worker to the other nodes, as long as they take some. Returns those that are left.
local function give_away(list)
  local others, deadline = carriers:others(), Clock.monotonic() + ADOPT_SECONDS
  local count
  repeat
    count = #list
    offer(list, others, deadline)
    list = sessions()
  until #list == 0 or #list == count or not others[1]
  return list
end

--- Gives the sessions of this worker away, because the gateway stops. Those with an event in flight stay. Yields.
function Parking.park()
  local list = sessions()
  if #list > 0 and not nodes:is_alone() then
    list = give_away(list)
  end
  if #list > 0 then
    ParkedFile.keep(own(), list)
  end
end

--- Makes clients that come back wait until their sessions are read, and notes that this node has these sockets: a journal of
--- the stopped gateway may have them, too. Runs in the master at a start, before there are workers.
---@param node string id of this node
function Parking.expect(node)
  for _, name in ipairs(ParkedFile.names()) do
    ParkedFile.each(name, function(facts)
      Places.move(facts.id, node .. NO_WORKER)
      Places.claim_key(facts.session.token, facts.id, LOAD_SECONDS)
      if facts.session.former then
        Places.claim_key(facts.session.former, facts.id, LOAD_SECONDS)
      end
    end)
  end
end

-- Ends a session that was restored in part.
local function lose(connection)
  if connection.moving then
    Moving.finish(connection)
  end
  connection:end_with(CloseCode.ABNORMAL, "its session could not be restored", "lost")
  connection:finish()
end

-- Goes on with a session. One that cannot be restored does not keep others from that.
local function restore(facts, items)
  local ok, result = xpcall(TakeOver.unpark, debug.traceback, facts, items)
  if ok then
    return result
  end
  Log.error(facts.id, "a session of the stopped gateway cannot be restored: ", result)
  local connection = registry:get(facts.id)
  if connection then
    lose(connection)
  end
  return false
end

local function load()
  local count = 0
  for _, name in ipairs(ParkedFile.names()) do
    local bad, is_whole = ParkedFile.each(
      name,
      function(facts, items) count = count + (restore(facts, items) and 1 or 0) end
    )
    if bad > 0 then
      Log.warn(nil, bad, " sessions in the file ", name, " cannot be read: they are lost")
    end
    if not is_whole then
      Log.warn(nil, "the file ", name, " is cut short: sessions behind the cut are lost")
    end
    ParkedFile.remove(name)
  end
  if count > 0 then
    Log.warn(nil, count, " sessions of the stopped gateway go on")
  end
end

local loading = Task.new("reading the sessions of the stopped gateway", load)

--- Goes on with the sessions that a stopped gateway kept. One worker does it.
function Parking.start()
  if ngx.worker.id() == 0 then
    loading:begin()
  end
end

return Parking
