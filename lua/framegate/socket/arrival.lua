-- Accepts a socket that another node has stored in Redis. This node notes it before it comes: if this worker is killed
-- meanwhile, another one asks Redis whether it has come (orphans.lua).

local Places = require "framegate.session.places"
local Record = require "framegate.socket.record"
local TakeOver = require "framegate.socket.take_over"

local Arrival = {}

local members, carriers

--- Gives this module the instances of its worker.
---@param worker Worker
function Arrival.wire(worker)
  members, carriers = worker.members, worker.carriers
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
  carriers:fetch(args, function(parcel)
    if not parcel or not TakeOver.take(args, parcel).ok then
      return reply(refuse(args))
    end
    Places.end_move(args.id, args.from, own())
    reply { ok = true }
  end)
end

return Arrival
