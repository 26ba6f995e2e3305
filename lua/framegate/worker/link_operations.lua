-- The operations of the bus that only the worker with the link to Redis can run (operations.lua has the others).
-- In another worker their result is nil, or states that there is nothing.

local Echoes = require "framegate.socket.echoes"
local Parcels = require "framegate.cluster.parcels"
local Slots = require "framegate.cluster.slots"
local TakeOver = require "framegate.socket.take_over"
local Whereabouts = require "framegate.cluster.whereabouts"

local LinkOperations = {}

-- Runs something that replies later over the link to Redis. Without the link the result is nil.
local function over_link(self, run)
  local link = self.worker.link_holder.link
  return function(reply)
    if not link then
      return reply(nil)
    end
    run(link, reply)
  end
end

--- Stores a socket in Redis that goes to another node, if this worker holds the link.
function LinkOperations:put_parcel(args, payload)
  return over_link(self, function(link, reply)
    Parcels.put(link, args, payload, function(count) reply { count = count } end)
  end)
end

--- Asks Redis which node has a socket that was on its way, if this worker holds the link.
function LinkOperations:settle_parcel(args)
  return over_link(self, function(link, reply)
    Parcels.settle(link, args, function(node) reply { node = node } end)
  end)
end

--- Answers when everything that the workers of this node had sent to this one before has arrived, or that it has not.
function LinkOperations.echo_all()
  return function(reply)
    Echoes.await(function(is_complete) reply { is_complete = is_complete } end)
  end
end

--- Takes a socket from Redis that another node has sent, if this worker holds the link.
function LinkOperations:take_parcel(args)
  return over_link(self, function(link, reply)
    Parcels.take(
      link,
      args,
      function(parcel, is_refused) reply { base64 = parcel and ngx.encode_base64(parcel), is_refused = is_refused } end
    )
  end)
end

--- Takes a session from a node that stops, if this worker holds the link.
function LinkOperations:adopt_session(args)
  if not self.worker.link_holder.link then
    return {}
  elseif self.worker.members:is_leaving() then
    return { is_stopping = self.worker.members:is_last_configuration() }
  end
  return function(reply)
    TakeOver.adopt(args.id, args.holder, function() reply {} end)
  end
end

--- Finds the node that holds a socket, if this worker holds the link.
function LinkOperations:find_socket(args)
  return over_link(self, function(link, reply)
    Whereabouts.find(link, args.id, function(node, is_away) reply { node = node, is_away = is_away } end)
  end)
end

--- Claims the nonce of a first handshake for this node, if this worker holds the link.
function LinkOperations:claim_nonce(args)
  return over_link(self, function(link, reply)
    Whereabouts.claim(link, args.nonce, function(node) reply { node = node } end)
  end)
end

--- Sends a request to other nodes, if this worker holds the link to Redis.
function LinkOperations:ask_nodes(request, payload)
  return over_link(self, function(link, reply) link:send(request, payload, reply) end)
end

--- Changes the groups of a worker, if this worker holds the link to Redis, or is about to.
function LinkOperations:change_groups(args)
  return over_link(self, function(link, reply)
    link:change_groups(args.worker, args.change, function() reply { ok = true } end)
  end)
end

--- Writes records of a worker's sockets to Redis, if this worker holds the link.
function LinkOperations:write_records(args)
  return over_link(self, function(link, reply)
    link.records:write(args.records, function() reply { ok = true } end)
  end)
end

--- Claims the sockets of an earlier life of this machine, if this worker holds the link.
function LinkOperations:claim_node(args)
  return over_link(self, function(link, reply)
    link.claim:ask(args.node, function(answer) reply { answer = answer } end)
  end)
end

--- Claims a time slot for this node in the cluster, if this worker holds the link.
function LinkOperations:claim_slot(args)
  return over_link(self, function(link, reply) Slots.claim(link, args, reply) end)
end

--- Removes the record of a dead node's socket from Redis, if this worker holds the link.
function LinkOperations:remove_record(args)
  local link = self.worker.link_holder.link
  return { ok = link ~= nil and link.burial:remove(args.node, args.id) }
end

--- Describes the link to Redis and the other nodes, if this worker holds the link.
function LinkOperations:describe_nodes()
  local link = self.worker.link_holder.link
  return link and link:state() or {}
end

return LinkOperations
