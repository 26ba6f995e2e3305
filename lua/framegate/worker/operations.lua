-- The operations of the bus: what this worker does with its own sockets when any worker asks for it.
-- Each operation gets `args` and a payload, which is text if `args.is_text`.
-- It returns a result that JSON can represent.

local Arrival = require "framegate.socket.arrival"
local Config = require "framegate.config"
local Delivery = require "framegate.worker.delivery"
local Encoder = require "framegate.protocol.encoder"
local HandOver = require "framegate.socket.hand_over"
local LinkOperations = require "framegate.worker.link_operations"
local Moving = require "framegate.socket.moving"
local NewLife = require "framegate.worker.new_life"
local Pages = require "framegate.worker.pages"
local Places = require "framegate.session.places"
local Relay = require "framegate.socket.relay"
local RelayedStream = require "framegate.socket.relayed_stream"
local Resumption = require "framegate.socket.resumption"
local Stats = require "framegate.worker.stats"
local TakeOver = require "framegate.socket.take_over"
local TopicOperations = require "framegate.worker.topic_operations"

---@class Operations
---@field private registry Registry
---@field private worker Worker
local Operations = {}
Operations.__index = Operations

for _, operations in ipairs { LinkOperations, TopicOperations } do
  for name, run in pairs(operations) do
    Operations[name] = run
  end
end

local GONE = { gone = true }

-- Runs something with a connection of this worker. While it moves to another worker, this waits; then the caller learns where
-- it is.
local function on_connection(self, args, run)
  local connection = self.registry:get(args.id)
  if connection and connection.moving then
    return function(reply)
      Moving.wait(connection, function()
        local result = on_connection(self, args, run)
        if type(result) == "function" then
          return result(reply)
        end
        reply(result)
      end)
    end
  elseif connection then
    return run(connection)
  end
  local holder = Places.holder(args.id)
  return holder == self.worker.members:node() .. self.worker.members:worker() and GONE or { moved = holder }
end

---@param worker Worker
---@return Operations
function Operations.new(worker) return setmetatable({ registry = worker.registry, worker = worker }, Operations) end

local function all_connections(self)
  local id, connection
  return function()
    id, connection = next(self.registry:all(), id)
    return id, connection
  end
end

--- Sends a message to all subscribers of a topic. A frame with a place waits for those before it.
function Operations:publish(args, payload)
  self.worker.origins:note(args.from)
  if args.place then
    return self.worker.feeds:arrive(args, payload)
  end
  return Delivery.to_subscribers(self.registry, args, payload)
end

--- Sends a message to all connections of a user.
function Operations:send_to_user(args, payload)
  self.worker.origins:note(args.from)
  return Delivery.to("user", Delivery.members(self.registry:user(args.user)), args, payload)
end

--- Sends a message to every connection.
function Operations:broadcast(args, payload)
  self.worker.origins:note(args.from)
  return Delivery.to("broadcast", all_connections(self), args, payload)
end

--- Sends a message to one connection. Without room for it nothing is done, and a repeat of the request is run.
function Operations:send(args, payload)
  return on_connection(self, args, function(connection)
    if connection.outbox.is_closed then
      return GONE
    end
    local is_queued = connection:offer(Encoder.message(payload, args.is_text))
    local counts = Delivery.counted("connection", is_queued and 1 or 0, is_queued and 0 or 1)
    counts.is_undone = not is_queued or nil
    return counts
  end)
end

--- Closes one connection.
function Operations:close(args)
  return on_connection(self, args, function(connection)
    connection:close(args.code, args.reason, "control")
    return { closed = true }
  end)
end

--- Subscribes one connection to a topic, and sends it kept frames (`args` as Wanted). The result comes when they are sent, and
--- when the topic's messages from other nodes come too.
function Operations:subscribe(args)
  return on_connection(self, args, function(connection)
    if args.last or args.after then
      return function(reply)
        local function on_done(ok, err, why) reply { ok = ok, err = err, why = why } end
        self.worker.feeds:subscribe(connection, args, on_done)
      end
    end
    local ok, err = self.registry:subscribe(connection, args.topic)
    return function(reply)
      self.worker.groups:when_known(function() reply { ok = ok, err = err } end)
    end
  end)
end

--- Ends a subscription of one connection.
function Operations:unsubscribe(args)
  return on_connection(self, args, function(connection)
    self.registry:unsubscribe(connection, args.topic)
    return { ok = true }
  end)
end

--- Describes one connection.
function Operations:describe(args)
  return on_connection(
    self,
    args,
    function(connection) return { connection = Pages.facts(self.worker, connection, args) } end
  )
end

local NOBODY = { connections = {}, count = 0 }

-- Whether a list that is asked for is about this node: it may name a node, or its id.
local function is_about_own(self, args)
  return not args.node or args.node == Config.NODE_NAME or args.node == self.worker.members:node()
end

--- Describes a page of all connections.
function Operations:list(args)
  if not is_about_own(self, args) then
    return NOBODY
  end
  return Pages.read(self.worker, all_connections(self), args)
end

--- Counts the subscribers of each topic.
function Operations:count_topics() return { topics = self.registry:topic_counts() } end

--- Describes a page of the subscribers of a topic.
function Operations:list_topic(args)
  local group = is_about_own(self, args) and self.registry:topic(args.topic)
  return Pages.read(self.worker, Delivery.members(group), args)
end

--- Begins to give a socket to another worker.
function Operations.begin_hand_over(_, args) return HandOver.begin(args) end

--- Gives a socket to another worker.
function Operations.finish_hand_over(_, args) return HandOver.finish(args) end

--- Accepts a socket from another worker. That of another node has stored it in Redis.
function Operations.take_socket(_, args, payload)
  if not args.parcel then
    return TakeOver.take(args, payload)
  end
  return function(reply) Arrival.take(args, reply) end
end

--- Accepts frames of a streamed answer for a socket that came from another worker.
function Operations.relay_stream(_, args, payload) return RelayedStream.take(args, payload) end

--- Ends a streamed answer whose socket another worker has.
function Operations.stop_stream(_, args) return Relay.stop(args) end

--- Finds a session of this node by a token or nonce.
function Operations.find_session(_, args) return Resumption.describe(args.key) end

--- Answers. What the asking worker sent before, and what this one sent to it before, has arrived then.
function Operations:echo()
  return function(reply)
    self.worker.bus:when_sent(function() reply {} end)
  end
end

--- Ends the sockets of a life of this node that the others have buried.
function Operations.end_life()
  NewLife.begin()
  return {}
end

--- Accepts a frame of a kept topic that has come before and has a new place now.
function Operations:skip_frame(args, payload)
  if self.worker.history.is_shared then
    self.worker.feeds:accept_again(args, payload)
  end
  return {}
end

--- Reads what this worker may have missed of kept topics, because there is a new link to Redis.
function Operations:resume_feeds()
  if self.worker.history.is_shared then
    self.worker.feeds:resume()
  end
  return {}
end

--- Reports the groups of this worker to one that is about to hold the link to Redis.
function Operations:tell_groups(args)
  self.worker.groups:tell(args.holder)
  return {}
end

--- Reads the statistics of this worker.
function Operations.describe_worker() return Stats.read() end

return Operations
