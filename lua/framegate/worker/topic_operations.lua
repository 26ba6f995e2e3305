-- Operations of the bus that change the subscribers of a topic in this worker (POST /publish).

local Alarms = require "framegate.socket.alarms"
local Delivery = require "framegate.worker.delivery"
local Dialects = require "framegate.dispatch.dialects"
local Inbox = require "framegate.socket.inbox"

local TopicOperations = {}

local SOON = 0.001 -- seconds

-- Calls a function with each subscriber. It may end them.
local function each(self, topic, run)
  local subscribers = {}
  for _, connection in Delivery.members(self.registry:topic(topic)) do
    subscribers[#subscribers + 1] = connection
  end
  local count = 0
  for _, connection in ipairs(subscribers) do
    count = count + (run(connection) and 1 or 0)
  end
  return { delivered = count, dropped = 0 }
end

--- Closes the subscribers of a topic.
function TopicOperations:close_topic(args)
  self.worker.origins:note(args.from)
  return each(self, args.topic, function(connection)
    local is_open = not connection.outbox.is_closed
    if is_open then
      connection:close(args.code, args.reason, "control")
    end
    return is_open
  end)
end

-- Sets an alarm. While an event is in flight, its answer may replace that; so there an event waits that no answer takes away.
local function refresh(connection)
  if not connection.is_in_flight then
    return Alarms.set(connection, SOON)
  end
  local is_open = connection.phase == "open" or connection.phase == "opening"
  if is_open and not Inbox.has_lasting(connection.inbox, "alarm") then
    connection:enqueue(Inbox.add_own(connection.inbox, { kind = "alarm" }))
  end
end

--- Lets the handlers of the subscribers of a topic be asked without a message of the client, where their dialect has that.
function TopicOperations:refresh_topic(args)
  self.worker.origins:note(args.from)
  return each(self, args.topic, function(connection)
    local is_polled = Dialects.of(connection).IS_POLLED
    if is_polled then
      refresh(connection)
    end
    return is_polled
  end)
end

return TopicOperations
