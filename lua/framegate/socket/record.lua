-- The record of a socket, with all that its close event needs. It is kept outside of the worker that holds the socket.
-- If that worker is killed, another one can still send the close event (orphans.lua).
--
-- This file alone knows where records are kept: in shared memory, which is exact and dies with the gateway; in the journal
-- of the worker, where a new state stands within a second; and in Redis when the gateway belongs to a cluster.

local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Journal = require "framegate.socket.journal"
local Log = require "framegate.runtime.log"
local Places = require "framegate.session.places"
local RecordText = require "framegate.socket.record_text"
local Task = require "framegate.runtime.task"

local Record = {}

local FLUSH_SECONDS = 1 -- between two records of a socket whose state changes
local BEAT_SECONDS = 1

local sockets = ngx.shared.sockets
local is_full = false

local shared -- records in Redis
local text_of -- writes a record
local journal -- of this worker; nil while it cannot be made
local journal_path
local journal_since -- by Clock.monotonic: it has no socket that was opened before
local is_stopped = false
local changed = {} -- sockets whose state the journal does not have yet, by id

local function remember(id, text)
  local ok, err = sockets:safe_set(id, text)
  if not ok and not is_full then
    is_full = true
    Log.warn(id, "no close event will follow if this worker is killed: ", err)
  end
end

-- The journal that has a socket's record, or may have it.
local function journal_of(socket)
  return socket.journal or journal and socket:began_at() >= journal_since and journal or nil
end

-- Writes a record where it outlives the gateway. Another such place has a line here and in Record.remove.
local function keep(connection, text, is_new)
  shared:put(connection.id, text)
  local holder = journal_of(connection)
  if holder and is_new then
    holder:add(connection.id, text)
  elseif holder then
    holder:replace(connection.id, text)
  end
end

--- Gives this module the instances of its worker.
---@param worker Worker
function Record.wire(worker)
  shared = worker.shared_records
  text_of = RecordText.writer(Config.RECORD_HEADERS, Config.HANDSHAKE_HEADERS)
end

--- The ids of all records of this node.
---@return string[]
function Record.ids() return sockets:get_keys(0) end

--- The record of a socket of this node.
---@param id string
---@return string? text
function Record.text_of(id) return sockets:get(id) end

--- The place of a worker's journal.
---@param holder string names of the node and the worker
---@return string path
function Record.journal_path(holder) return Config.run .. "/journal/" .. holder end

local function make_journal(since)
  local err
  journal, err = Journal.create(journal_path)
  journal_since = since
  return journal, err
end

--- Notes that this worker is alive, for the time of its death. A journal that could not be made is tried again.
function Record.beat()
  if not journal then
    return is_stopped or make_journal(Clock.monotonic())
  elseif journal.owed > 0 then
    journal:touch()
  end
end

--- Makes the journal of this worker, and keeps its time.
---@param holder string names of the node and the worker
function Record.start(holder)
  journal_path = Record.journal_path(holder)
  local ok, err = make_journal(0)
  if not ok then
    Log.warn(nil, "the journal cannot be made, no close events will follow if the gateway is killed: ", err)
  end
  ngx.timer.every(BEAT_SECONDS, Log.caught("the beat of the journal", Record.beat))
end

--- Begins a new journal under another name. Nothing in the former one is owed any more, and its sockets are not in the new
--- one.
---@param holder string names of the node and the worker
function Record.restart(holder)
  if journal then
    journal:discard()
  end
  journal_path, changed = Record.journal_path(holder), {}
  make_journal(Clock.monotonic())
end

--- Writes the record of a new socket. Does not yield.
---@param connection Connection
function Record.write(connection)
  local text = text_of(connection)
  remember(connection.id, text)
  keep(connection, text, true)
end

--- What to wait for after `write`, until the record outlives this machine. In a cluster, that is Redis.
---@param connection Connection
---@return table? semaphore nil if there is nothing to wait for
function Record.written(connection) return shared:written(connection.id) end

local function flush()
  while next(changed) do
    ngx.sleep(FLUSH_SECONDS)
    local due = changed
    changed = {}
    for _, connection in pairs(due) do
      keep(connection, text_of(connection))
    end
  end
end

local flushing = Task.new("writing states to the journal", flush)

--- Writes the record again after a change of state: to the journal within a second, and then the last state.
---@param connection Connection
function Record.update(connection)
  remember(connection.id, text_of(connection))
  changed[connection.id] = connection
  flushing:begin()
end

--- Writes how a socket ended, so that its close event is the same whoever sends it.
---@param connection Connection that has ended; one that was refused is owed none
function Record.close(connection)
  if connection.is_refused then
    return
  end
  changed[connection.id] = nil
  local text = text_of(connection)
  remember(connection.id, text)
  keep(connection, text)
end

--- Removes the record once the close event was answered.
---@param socket Connection|Orphan
function Record.remove(socket)
  changed[socket.id] = nil
  sockets:delete(socket.id)
  Places.forget(socket.id)
  shared:remove(socket.id)
  is_full = false
  local holder = journal_of(socket)
  if holder then
    holder:remove(socket.id)
  end
end

--- Takes over the record of a socket that has come from another worker.
---@param connection Connection
function Record.adopt(connection)
  local text = text_of(connection)
  remember(connection.id, text)
  connection.journal = journal
  keep(connection, text, true)
end

--- Writes the record again, because another node did not take the socket.
---@param connection Connection
function Record.restore(connection)
  local text = text_of(connection)
  remember(connection.id, text)
  shared:put(connection.id, text)
end

--- Notes the record of a socket that is about to come from another node.
---@param id string
---@param text string
function Record.expect(id, text) remember(id, text) end

--- Forgets the record of a socket that another node has.
---@param id string
function Record.disown(id)
  sockets:delete(id)
  shared:remove(id)
end

--- Leaves the record to the worker that has the socket now.
---@param connection Connection
---@param is_near boolean whether that worker belongs to this node
function Record.leave_behind(connection, is_near)
  changed[connection.id] = nil
  if not is_near then
    sockets:delete(connection.id) -- Redis has given it to the other node
  end
  local holder = journal_of(connection)
  if holder then
    holder:remove(connection.id)
  end
end

--- Leaves the record to the journal alone: the close event got no answer, and whoever reads the journal sends it again.
---@param connection Connection
function Record.leave(connection) sockets:delete(connection.id) end

--- Lets go of the journal of this worker. It stays, if something in it is owed.
function Record.stop()
  is_stopped = true
  if journal then
    journal:close()
  end
end

--- The records in shared memory of one worker's sockets, also of those that it was giving away.
---@param holder string names of the node and the worker
---@return table<string, string> texts by id
function Record.of_worker(holder)
  local texts = {}
  for _, id in ipairs(sockets:get_keys(0)) do
    local is_its = Places.holder(id) == holder or Places.move_of(id) == holder
    texts[id] = is_its and sockets:get(id) or nil
  end
  return texts
end

return Record
