-- The counters of this gateway since its start, in memory that all workers share.
-- Each worker writes its own slot, so counting is one write without a lock. A reader adds up the slots.
-- A slot outlives its worker: a later worker continues to count in it.
--
-- The master maps the memory, and workers inherit it. It lasts as long as the master.
-- A reload with other counters maps new memory and keeps the old. Counters of the same name are added up.

local cjson = require "cjson.safe"
local ffi = require "ffi"
local Definitions = require "framegate.telemetry.definitions"
local Log = require "framegate.runtime.log"
local MasterMemory = require "framegate.runtime.master_memory"
local Process = require "framegate.runtime.process"

local Counters = {}

local gateway = ngx.shared.gateway
local SLOTS = 1024

-- The first numbers of a slot are not counters.
local OWNER = 0 -- process id; 0 if no worker has had the slot
local OPEN = 1 -- sockets that the owner holds
local ANSWERED, FAILED = 2, 3 -- when an event last ended so, in seconds of the monotonic clock
local FIRST = 4

local series = {} -- names of the counters, in their order
local places = {} -- of each family: a place, or places by label values

local function add_series(name)
  series[#series + 1] = name
  return FIRST + #series - 1
end

-- A histogram has a counter for each bound, one for values above all bounds, and the sum.
local function make_room(family, key)
  if not family.bounds then
    return add_series(key)
  end
  local first = add_series(key .. " 1")
  for i = 2, #family.bounds + 1 do
    add_series(key .. " " .. i)
  end
  return { first = first, bounds = family.bounds, sum = add_series(key .. " sum"), known = {}, count = 0 }
end

local function lay_out(family)
  local name = family[1]
  if not family.sets then
    places[name] = make_room(family, name)
    return
  end
  places[name] = {}
  for _, set in ipairs(family.sets) do
    local room = make_room(family, name .. " " .. table.concat(set, " "))
    if set[2] then
      places[name][set[1]] = places[name][set[1]] or {}
      places[name][set[1]][set[2]] = room
    else
      places[name][set[1]] = room
    end
  end
end

for _, family in ipairs(Definitions.list) do
  if family[2] ~= "gauge" then
    lay_out(family)
  end
end

local STRIDE = FIRST + #series
local regions = {} -- { address, slots: double*, stride, places: ours by theirs }
local own = ffi.new("double[?]", STRIDE) -- until the worker has a slot

--- The place of a family, for `count` and `observe`. A family with labels has a table of places by label values.
---@param name string of the family; an unknown one raises an error
---@return integer|table
function Counters.place(name) return assert(places[name], name) end

--- Adds to a counter.
---@param place integer
---@param amount number? 1 by default
function Counters.count(place, amount) own[place] = own[place] + (amount or 1) end

local MAX_KNOWN = 1024

-- Finds the counter of a value. Most values come again, and LuaJIT compiles what calls this only if it has no loop.
local function find_place(histogram, value)
  local bounds, i = histogram.bounds, 1
  while bounds[i] and value > bounds[i] do
    i = i + 1
  end
  local place = histogram.first + i - 1
  if histogram.count < MAX_KNOWN then
    histogram.known[value], histogram.count = place, histogram.count + 1
  end
  return place
end

--- Adds one value to a histogram.
---@param histogram table from `place`
---@param value number
function Counters.observe(histogram, value)
  local place = histogram.known[value] or find_place(histogram, value)
  own[place] = own[place] + 1
  own[histogram.sum] = own[histogram.sum] + value
end

local OPENED = places.framegate_sockets_opened_total
local CLOSED = places.framegate_sockets_closed_total
local KILLED = CLOSED.worker_killed["1006"]

--- Counts a socket that was opened.
function Counters.opened()
  own[OPENED], own[OPEN] = own[OPENED] + 1, own[OPEN] + 1
end

--- Counts a socket that has come from another worker, or has gone to one.
---@param by 1|-1
function Counters.moved(by) own[OPEN] = own[OPEN] + by end

--- Counts the end of a socket that was open.
---@param cause string of framegate_sockets_closed_total
---@param code integer
function Counters.closed(cause, code)
  local codes = CLOSED[cause]
  local place = codes[tostring(code)] or code >= 3000 and codes[math.floor(code / 1000) .. "xxx"] or codes.other
  own[place], own[OPEN] = own[place] + 1, own[OPEN] - 1
end

--- Records when an event has ended.
---@param time number now, in seconds of the monotonic clock
---@param is_failure boolean
function Counters.note_end(time, is_failure) own[is_failure and FAILED or ANSWERED] = time end

local function new_region(names)
  local size = ffi.sizeof("double") * SLOTS * (FIRST + #names)
  return { address = MasterMemory.map(size), series = table.concat(names, "\n") }
end

local function open_region(kept)
  local place_of, translated, count = {}, {}, 0
  for i, name in ipairs(series) do
    place_of[name] = FIRST + i - 1
  end
  for name in kept.series:gmatch("[^\n]+") do
    translated[FIRST + count], count = place_of[name], count + 1
  end
  return { address = kept.address, slots = MasterMemory.at(kept.address), stride = FIRST + count, places = translated }
end

--- Maps the memory. Runs in the master, before workers start; they count in the last region.
function Counters.init()
  local kept, all, current = cjson.decode(MasterMemory.get "counters" or "[]"), {}, nil
  for _, region in ipairs(kept) do
    if region.series == table.concat(series, "\n") then
      current = region
    else
      all[#all + 1] = region
    end
  end
  all[#all + 1] = current or new_region(series)
  MasterMemory.keep("counters", cjson.encode(all))
  for i, region in ipairs(all) do
    regions[i] = open_region(region)
  end
end

-- Takes a slot. The sockets of a killed owner count as closed from its death on.
local function take_over(slot)
  slot[KILLED] = slot[KILLED] + slot[OPEN]
  slot[OPEN] = 0
  slot[OWNER] = ngx.worker.pid()
  own = slot
end

--- Takes a free slot for this worker. `gateway:add` is atomic: exactly one worker gets each slot.
function Counters.claim()
  local region = regions[#regions]
  for i = 0, SLOTS - 1 do
    local slot = region.slots + i * region.stride
    local owner = slot[OWNER]
    if
      (owner == 0 or Process.is_dead(owner))
      and gateway:add(("slot:%s:%d:%d"):format(region.address, i, owner), true, 60)
    then
      return take_over(slot)
    end
  end
  Log.error(nil, "there are more than ", SLOTS, " workers: what this one counts is not in the metrics")
end

local function add_slot(totals, region, slot)
  for place, ours in pairs(region.places) do
    totals[ours] = totals[ours] + slot[place]
  end
  totals.answered = math.max(totals.answered, slot[ANSWERED])
  totals.failed = math.max(totals.failed, slot[FAILED])
  if Process.is_dead(slot[OWNER]) then
    totals[KILLED] = totals[KILLED] + slot[OPEN]
  else
    totals.open = totals.open + slot[OPEN]
  end
end

--- Adds up all slots.
---@return table totals numbers by place; also `open`: open sockets; `answered`, `failed`: when an event last ended so,
---  in seconds of the monotonic clock, 0 if never
function Counters.totals()
  local totals = { open = 0, answered = 0, failed = 0 }
  for i = 1, #series do
    totals[FIRST + i - 1] = 0
  end
  for _, region in ipairs(regions) do
    for i = 0, SLOTS - 1 do
      local slot = region.slots + i * region.stride
      if slot[OWNER] == 0 then
        break -- slots are used in order
      end
      add_slot(totals, region, slot)
    end
  end
  return totals
end

return Counters
