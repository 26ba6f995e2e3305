-- What came from one socket and waits for the answer to the event in flight: messages, and last of all a close. It is there
-- only while something waits: most sockets are idle.

local Config = require "framegate.config"
local Queue = require "framegate.runtime.queue"

local Inbox = {}

-- With more the gateway stops reading: TCP is the back-pressure.
local MAX_MESSAGES = 64

local total = 0 -- messages of all sockets of this worker that wait

local function of(connection)
  if not connection.queue then
    connection.queue = Queue.new()
    connection.queue.bytes = 0
  end
  return connection.queue
end

---@param connection Connection
---@param payload string
---@param is_text boolean
function Inbox.add_message(connection, payload, is_text)
  local queue = of(connection)
  queue:push { payload = payload, is_text = is_text }
  queue.bytes, total = queue.bytes + #payload, total + 1
end

---@param connection Connection
---@param close { code: integer?, reason: string?, cause: string }
function Inbox.add_close(connection, close)
  close.is_close = true
  of(connection):push(close)
end

---@param connection Connection
---@return table? item a message or a close; nil when nothing waits
function Inbox.take(connection)
  local queue = connection.queue
  local item = queue and queue:pop()
  if queue and queue:count() == 0 then
    connection.queue = nil
  end
  if item and item.payload then
    queue.bytes, total = queue.bytes - #item.payload, total - 1
  end
  return item
end

---@param connection Connection
---@return boolean
function Inbox.is_full(connection)
  local queue = connection.queue
  return queue ~= nil and (queue:count() >= MAX_MESSAGES or queue.bytes >= Config.MAX_MESSAGE_BYTES)
end

--- Messages of all sockets of this worker that wait.
---@return integer
function Inbox.total() return total end

return Inbox
