-- Finds workers that are gone, and sends the close events that they owe: of this gateway, and of earlier ones in the same
-- run directory. What a worker owes is in its journal (journal.lua), and in shared memory while the gateway runs.

local AddressCount = require "framegate.socket.address_count"
local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local Counters = require "framegate.telemetry.counters"
local File = require "framegate.runtime.file"
local Journal = require "framegate.socket.journal"
local Log = require "framegate.runtime.log"
local Options = require "framegate.socket.options"
local Orphan = require "framegate.socket.orphan"
local Places = require "framegate.session.places"
local Record = require "framegate.socket.record"
local RecordText = require "framegate.socket.record_text"
local Task = require "framegate.runtime.task"

local Orphans = {}

local WORKERS_KILLED = Counters.place "framegate_workers_killed_total"
local SCAN_SECONDS = 10
local NODE_LENGTH = 4
local HOLDER = "^" .. ("[%w_-]"):rep(10) .. "$" -- the names of a node and a worker
local MANY, PAUSE_SECONDS = 1000, 0.001 -- after so many sockets, others are served

-- In place of a journal that its worker could not write.
local function nothing() end
local NO_JOURNAL = { load = function() return {}, 0, 0 end, add = nothing, remove = nothing, close = nothing }

local members, holders, bus, carriers
local seen = {} -- journals of this gateway that the last scan found

--- Gives this module the instances of its worker.
---@param worker Worker
function Orphans.wire(worker)
  members, holders, bus = worker.members, worker.holders, worker.bus
  carriers = worker.carriers
end

local function is_own(holder) return holder:sub(1, NODE_LENGTH) == members:node() end

local function killed(what)
  return {
    code = CloseCode.ABNORMAL,
    reason = "the " .. what .. " that held the socket was killed",
    cause = "worker_killed",
  }
end

--- Queues the close event of one socket.
---@param id string
---@param text string its record
---@param from { journal: table, died: number?, node: string? }? `journal`: where its record is; `died`: when another gateway
--- that held it died, in seconds since 1970; `node` that held it. Without it, no journal has a socket of this gateway
function Orphans.add(id, text, from)
  from = from or { journal = NO_JOURNAL }
  local record = RecordText.read(id, text)
  if not record then
    return from.journal:remove(id)
  end
  if not record.closing then
    record.is_unnoted, record.closing = true, killed(from.died and "gateway" or "worker")
    -- The monotonic clock is right only on the machine and since the boot that it was read on.
    record.seconds = from.died and math.max(0, from.died - record.opened) or Clock.monotonic() - record.opened_at
  end
  record.home = from.node ~= id:sub(1, NODE_LENGTH) and from.node or nil
  record.journal = from.journal
  record.options = Options.of { handler = record.handler, protocol = record.protocol }
  Orphan.add(record)
end

-- Reads all that a worker owes. Shared memory is more recent than the journal, and has all if the disk was full.
local function texts_of(holder, journal)
  local texts, damaged, died = journal:load()
  for id, text in pairs(is_own(holder) and Record.of_worker(holder) or {}) do
    if not texts[id] then
      journal:add(id, text)
    end
    texts[id] = text
  end
  if damaged > 0 then
    Log.warn(
      nil,
      "the journal ",
      holder,
      " is damaged in ",
      damaged,
      " place(s): sockets recorded there get no close event"
    )
  end
  return texts, died
end

-- Other nodes may have buried an earlier gateway of this run directory, and then they send its close events.
-- Returns "ours" or "buried", or nil while Redis is away.
local function claim(holder)
  if not holders:is_clustered() then
    return "ours"
  end
  local current = holders:current()
  local result = current and bus:call(current, "claim_node", { node = holder:sub(1, NODE_LENGTH) })
  return result and result.answer
end

local function discard(holder)
  local journal = Journal.adopt(Record.journal_path(holder))
  if journal then
    journal:discard()
  end
end

-- Whether this node has a socket that was on its way to or from another node when its worker was killed. Yields.
local function settle(id, giver, receiver)
  local is_receiver = is_own(receiver)
  local node = carriers:settle(id, is_receiver)
  local is_here = node == members:node() or not node and not is_receiver
  if not is_here then
    Record.disown(id)
  end
  Places.move(id, is_here == is_receiver and receiver or giver, not is_here)
  Places.end_move(id, giver, receiver)
  return is_here
end

-- Whether a socket of a worker that is gone is owed a close event: no living worker has it.
local function is_owed(id, holder)
  local current = Places.holder(id)
  if not is_own(holder) then
    local is_kept = is_own(current) -- for this start
    return not is_kept and not carriers:is_elsewhere(id, holder:sub(1, NODE_LENGTH))
  end
  local giver, receiver = Places.move_of(id)
  local is_side = giver == holder or receiver == holder
  if is_side and Places.split(giver) ~= Places.split(receiver) then
    return settle(id, giver, receiver)
  elseif current == holder and receiver == holder then
    return Places.decide(id, "killed") ~= "kept"
  end
  return current == holder
end

-- Takes over what a worker owes. Returns the number of sockets, 0 when another worker has taken it over.
local function adopt(holder)
  local journal, err = Journal.adopt(Record.journal_path(holder))
  if err == "in use" then
    return 0
  elseif not journal and not is_own(holder) then
    Log.limited(Log.warn, "journal", nil, "the journal ", holder, " cannot be read: ", err)
  end
  journal = journal or NO_JOURNAL
  local texts, died = texts_of(holder, journal)
  local from = { journal = journal, died = not is_own(holder) and died or nil, node = holder:sub(1, NODE_LENGTH) }
  local count = 0
  for id, text in pairs(texts) do
    count = count + 1
    if is_owed(id, holder) then
      Orphans.add(id, text, from)
    else
      journal:remove(id)
    end
    if count % MANY == 0 then
      ngx.sleep(PAUSE_SECONDS)
    end
  end
  if count == 0 then
    journal:close()
  end
  return count
end

local function recover_killed()
  for _, name in ipairs(members:claim_dead()) do
    Counters.count(WORKERS_KILLED)
    AddressCount.forget(name)
    local count = adopt(members:node() .. name)
    Log.warn(nil, "a worker was killed; close events of its ", count, " sockets are on their way")
  end
end

local function adopt_if_ours(holder)
  if is_own(holder) then
    return seen[holder] and adopt(holder) or 0
  end
  local answer = claim(holder)
  if answer == "buried" then
    discard(holder)
  end
  return answer == "ours" and adopt(holder) or 0
end

-- A journal of this gateway is adopted at the second look: its worker may be about to lock it, or another one to adopt it.
local function adopt_all()
  local found, count = {}, 0
  for _, holder in ipairs(File.names(Config.run .. "/journal")) do
    if holder:find(HOLDER) then
      found[holder] = true
      count = count + adopt_if_ours(holder)
    end
  end
  seen = found
  if count > 0 then
    Log.warn(nil, "close events of ", count, " sockets of an earlier gateway or worker are on their way")
  end
end

--- Finds workers that are gone and queues the close events of their sockets. Yields.
function Orphans.scan()
  if not members:is_leaving() then
    recover_killed()
    adopt_all()
  end
end

local scanning = Task.new("the scan for orphans", function() Orphans.scan() end)

--- Scans soon. Does not yield.
function Orphans.look() scanning:begin() end

--- Scans now, because this worker may replace one that was killed, and then every 10 s.
function Orphans.start()
  scanning:begin()
  ngx.timer.every(SCAN_SECONDS, function(premature) return premature or scanning:begin() end)
end

return Orphans
