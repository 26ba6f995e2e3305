-- What becomes of sessions when the gateway stops and no other node takes them (giving.lua): a file keeps them for the next start.
-- The file is beside the journals, whose disk outlives a container.

local Attachment = require "framegate.socket.attachment"
local Baggage = require "framegate.socket.baggage"
local Config = require "framegate.config"
local File = require "framegate.runtime.file"
local Giving = require "framegate.socket.giving"
local HandOver = require "framegate.socket.hand_over"
local Log = require "framegate.runtime.log"
local Parcel = require "framegate.session.parcel"
local Places = require "framegate.session.places"
local Streaming = require "framegate.socket.streaming"
local TakeOver = require "framegate.socket.take_over"
local Task = require "framegate.runtime.task"

local Parking = {}

local NAME = "^parked%-[%w_-]+$"
local LOAD_SECONDS = 60 -- for which a client that comes back waits until its session is read
local MANY, PAUSE_SECONDS = 200, 0.001 -- after so many sessions, others are served

local members, registry, nodes

--- Gives this module the instances of its worker.
---@param worker Worker
function Parking.wire(worker)
  members, registry, nodes = worker.members, worker.registry, worker.nodes
end

local function own() return members:node() .. members:worker() end

local function path_of(name) return Config.run .. "/journal/" .. name end

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

-- The sessions of this worker that can leave it now.
local function sessions()
  local list = {}
  for _, connection in pairs(registry:all()) do
    list[#list + 1] = Giving.may_leave(connection) and connection or nil
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

local function put(file, connection)
  local bytes = Baggage.pack(connection, { kept = HandOver.kept_of(connection), parked_at = ngx.now() })
  local ok = file and file:append(#bytes .. ":" .. bytes)
  if ok then
    connection:leave(true)
  end
  return ok
end

-- Keeps sessions in the file of this worker. They are not owed a close event any more: who reads the file has them.
local function keep(list)
  local path = path_of("parked-" .. own())
  local file, err = File.create(path)
  if not file then
    file, err = File.open(path)
  end
  local lost = 0
  for i, connection in ipairs(list) do
    if Giving.may_leave(connection) and not put(file, connection) then
      lost = lost + 1
    end
    if i % MANY == 0 then
      ngx.sleep(PAUSE_SECONDS)
    end
  end
  if file then
    file:close()
  end
  if lost > 0 then
    Log.warn(nil, lost, " sessions could not be kept for the next start: ", err or "the disk is full")
  end
end

--- Keeps sessions of this worker for the next start. Those with a transport, or with an event in flight, stay. Yields.
function Parking.keep()
  local list = sessions()
  if #list > 0 then
    keep(list)
  end
end

local function read_file(path)
  local file, pieces, offset = File.open(path), {}, 0
  local piece = file and file:read(0) or ""
  while piece ~= "" do
    pieces[#pieces + 1], offset = piece, offset + #piece
    piece = file:read(offset)
  end
  if file then
    file:close()
  end
  return table.concat(pieces)
end

-- Calls a function with the facts and items of each session that a file keeps. Returns false when the file is cut short.
local function each(bytes, run)
  local position = 1
  while position <= #bytes do
    local _, last, digits = bytes:find("^(%d+):", position)
    local length = tonumber(digits)
    if not length or last + length > #bytes then
      return false
    end
    local facts, items = Parcel.unpack(bytes:sub(last + 1, last + length))
    if facts then
      run(facts, items)
    end
    position = last + length + 1
  end
  return true
end

local function files()
  local names = {}
  for _, name in ipairs(File.names(Config.run .. "/journal")) do
    names[#names + 1] = name:find(NAME) and name or nil
  end
  return names
end

--- Makes clients that come back wait until their sessions are read, and notes that this node has these sockets: a journal of
--- the stopped gateway may have them, too. Runs in the master at a start, before there are workers.
---@param node string id of this node
function Parking.expect(node)
  for _, name in ipairs(files()) do
    each(read_file(path_of(name)), function(facts)
      Places.move(facts.id, node .. Places.NOBODY)
      Places.claim_key(facts.session.token, facts.id, LOAD_SECONDS)
      if facts.session.former then
        Places.claim_key(facts.session.former, facts.id, LOAD_SECONDS)
      end
    end)
  end
end

local function load()
  local count = 0
  for _, name in ipairs(files()) do
    local is_whole = each(read_file(path_of(name)), function(facts, items)
      facts.away_seconds = facts.away_seconds + math.max(0, ngx.now() - facts.more.parked_at)
      count = count + (TakeOver.unpark(facts, items) and 1 or 0)
    end)
    if not is_whole then
      Log.warn(nil, "the file ", name, " is cut short: sessions that were kept in it are lost")
    end
    os.remove(path_of(name))
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
