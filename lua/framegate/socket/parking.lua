-- What becomes of sessions when the gateway stops and no other node takes them (giving.lua): a file keeps them.

local Attachment = require "framegate.socket.attachment"
local CloseCode = require "framegate.protocol.close_code"
local Giving = require "framegate.socket.giving"
local Log = require "framegate.runtime.log"
local Moving = require "framegate.socket.moving"
local ParkedFile = require "framegate.socket.parked_file"
local Places = require "framegate.session.places"
local Streaming = require "framegate.socket.streaming"
local TakeOver = require "framegate.socket.take_over"
local Task = require "framegate.runtime.task"

local Parking = {}

local LOAD_SECONDS = 60 -- for which a client that comes back waits until its session is read

local members, registry, nodes

--- Gives this module the instances of its worker.
---@param worker Worker
function Parking.wire(worker)
  members, registry, nodes = worker.members, worker.registry, worker.nodes
end

local function own() return members:node() .. members:worker() end

--- Takes the transports of all sessions of this worker, and ends streams. Does not yield.
function Parking.release()
  local list = {}
  for _, connection in pairs(registry:all()) do
    if connection.session and connection.phase == "open" and not connection.moving then
      list[#list + 1] = connection
    end
  end
  for _, connection in ipairs(list) do
    Attachment.release(connection)
    if connection.stream then
      Streaming.cut(connection)
    end
  end
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

--- Keeps sessions of this worker for the next start. Those with a transport, or with an event in flight, stay. Yields.
function Parking.keep()
  local list = {}
  for _, connection in pairs(registry:all()) do
    list[#list + 1] = Giving.may_leave(connection) and connection or nil
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
      Places.move(facts.id, node .. Places.NOBODY)
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
