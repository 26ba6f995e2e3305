-- Accepts a socket that another node has stored in Redis. This node notes it before it comes: if this worker is killed
-- meanwhile, another one asks Redis whether it has come (orphans.lua).

local Orphans = require "framegate.socket.orphans"
local Places = require "framegate.session.places"
local Record = require "framegate.socket.record"
local TakeOver = require "framegate.socket.take_over"
local Threads = require "framegate.runtime.threads"

local Arrival = {}

local members, carriers, registry

--- Gives this module the instances of its worker.
---@param worker Worker
function Arrival.wire(worker)
  members, carriers, registry = worker.members, worker.carriers, worker.registry
end

local function own() return members:node() .. members:worker() end

local function expect(args)
  if Places.begin_move(args.id, args.from, own()) and Places.move(args.id, own()) then
    Record.expect(args.id, args.text)
    return true
  end
end

local function refuse(args)
  Record.disown(args.id)
  Places.move(args.id, args.from, true)
  Places.end_move(args.id, args.from, own())
  return { ok = false }
end

-- No answer shows whether this node has taken the socket. If so, it is lost, and its close event is owed.
local function settle(args, reply)
  Threads.run(function()
    if carriers:settle(args.id, true) ~= members:node() then
      return reply(refuse(args))
    end
    Places.end_move(args.id, args.from, own())
    Orphans.add(args.id, args.text)
    reply { ok = true }
  end, nil, function() reply(refuse(args)) end)
end

local function accept(args, parcel, reply)
  if not TakeOver.take(args, parcel).ok then
    return reply(refuse(args))
  end
  Places.end_move(args.id, args.from, own())
  reply { ok = true }
end

--- Accepts a socket. Does not yield.
---@param args { id: string, from: string, text: string, parcel: string, count: integer } `from`: names of the node and the
--- worker that have sent it; `text`: its record
---@param reply fun(result: { ok: boolean })
function Arrival.take(args, reply)
  if not TakeOver.expects(args.id) or not args.text then
    return reply { ok = false }
  elseif not expect(args) then
    return reply(refuse(args))
  end
  local moving = registry:get(args.id).moving
  moving.is_fetching = true
  carriers:fetch(args, function(parcel, is_refused)
    moving.is_fetching = nil
    if parcel then
      return accept(args, parcel, reply)
    elseif is_refused then
      return reply(refuse(args))
    end
    settle(args, reply)
  end)
end

return Arrival
