-- The file in which a worker keeps its sessions while the gateway is stopped: one parcel after the other, each with its length.
-- It is beside the journals, whose disk outlives a container.

local Baggage = require "framegate.socket.baggage"
local Config = require "framegate.config"
local Entry = require "framegate.socket.entry"
local File = require "framegate.runtime.file"
local Giving = require "framegate.socket.giving"
local Log = require "framegate.runtime.log"
local Parcel = require "framegate.session.parcel"

local ParkedFile = {}

local NAME = "^parked%-[%w_-]+$"
local MANY, PAUSE_SECONDS = 200, 0.001 -- so many sessions leave together, then others are served

local function path_of(name) return Config.run .. "/journal/" .. name end

-- The next sessions of a list that can leave, from this place on.
local function some_of(list, first)
  local some = {}
  for i = first, math.min(#list, first + MANY - 1) do
    some[#some + 1] = Giving.may_leave(list[i]) and list[i] or nil
  end
  return some
end

local function append(file, connection)
  local bytes = Baggage.pack(connection, { kept = Entry.kept_of(connection), parked_at = ngx.now() })
  return file:append(#bytes .. ":" .. bytes)
end

-- Writes sessions. Only when the disk has them, they are not owed a close event any more: who reads the file has them. So one
-- that is not in the file as a whole gets its close event, whatever happens meanwhile. Does not yield.
local function write_some(file, connections)
  local size, written, err = file.size, {}, nil
  for _, connection in ipairs(connections) do
    local ok, problem = append(file, connection)
    written[#written + 1] = ok and connection or nil
    err = err or problem
  end
  local is_safe, problem = file:sync()
  if not is_safe then
    file:cut(size)
    return 0, problem
  end
  for _, connection in ipairs(written) do
    connection:leave(true)
  end
  return #written, err
end

-- Returns how many of the sessions that can leave stay, and why.
local function write(file, list)
  local lost, err = 0, nil
  for first = 1, #list, MANY do
    local some = some_of(list, first)
    local count, problem = write_some(file, some)
    lost, err = lost + #some - count, err or problem
    ngx.sleep(PAUSE_SECONDS)
  end
  return lost, err
end

--- Keeps sessions in the file of a worker, and forgets those that it has. Yields.
---@param holder string names of the node and the worker
---@param list Connection[] sessions without a transport
function ParkedFile.keep(holder, list)
  local path = path_of("parked-" .. holder)
  local file, err = File.create(path)
  if not file then
    file, err = File.open(path)
  end
  local lost = #list
  if file then
    lost, err = write(file, list)
    file:close()
  end
  if lost > 0 then
    Log.warn(nil, lost, " sessions could not be kept for the next start: ", err)
  end
end

--- The names of all such files.
---@return string[]
function ParkedFile.names()
  local names = {}
  for _, name in ipairs(File.names(Config.run .. "/journal")) do
    names[#names + 1] = name:find(NAME) and name or nil
  end
  return names
end

--- Removes a file.
---@param name string
function ParkedFile.remove(name) os.remove(path_of(name)) end

local function read(path)
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

-- The time of the stop counts as time that the client was away.
local function give(run, facts, items)
  facts.away_seconds = facts.away_seconds + math.max(0, ngx.now() - facts.more.parked_at)
  run(facts, items)
end

--- Calls a function with each session of a file. One that cannot be read, or for which the function fails, is left out.
---@param name string
---@param run fun(facts: table, items: string[]) as Parcel.unpack gives them
---@return integer bad how many were left out
---@return boolean is_whole false when the file is cut short
function ParkedFile.each(name, run)
  local bytes, position, bad = read(path_of(name)), 1, 0
  while position <= #bytes do
    local _, last, digits = bytes:find("^(%d+):", position)
    local length = tonumber(digits)
    if not length or last + length > #bytes then
      return bad, false
    end
    local facts, items = Parcel.unpack(bytes:sub(last + 1, last + length))
    if not facts or not pcall(give, run, facts, items) then
      bad = bad + 1
    end
    position = last + length + 1
  end
  return bad, true
end

return ParkedFile
