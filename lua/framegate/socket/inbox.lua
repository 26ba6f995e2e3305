-- What came from one socket and waits for the answer to the event in flight: messages, and last of all a close. A connection
-- has an inbox only while something waits: most sockets are idle.

local Config = require "framegate.config"
local Queue = require "framegate.runtime.queue"

---@class Inbox: Queue
---@field bytes integer of the messages in it
---@field has_close boolean? whether a close waits in it: nothing comes after that
local Inbox = {}

-- With more the gateway stops reading: TCP is the back-pressure.
local MAX_MESSAGES = 64

local total = 0 -- messages of all sockets of this worker that wait
local are_dropped = false -- whether messages that wait are dropped when their turn comes

local function new()
  local inbox = Queue.new()
  inbox.bytes = 0
  return inbox
end

---@param inbox Inbox? nil when nothing waits
---@param payload string
---@param is_text boolean
---@return Inbox that holds the message, too, unless a close waits already
function Inbox.add_message(inbox, payload, is_text)
  inbox = inbox or new()
  if inbox.has_close then
    return inbox
  end
  inbox:push { payload = payload, is_text = is_text }
  inbox.bytes, total = inbox.bytes + #payload, total + 1
  return inbox
end

---@param inbox Inbox? nil when nothing waits
---@param close { code: integer?, reason: string?, cause: string }
---@return Inbox that holds the close, too
function Inbox.add_close(inbox, close)
  inbox = inbox or new()
  inbox:push(close)
  inbox.has_close = true
  return inbox
end

-- Takes out what waits longest.
local function pop(inbox)
  local item = inbox:pop()
  if item and item.payload then
    inbox.bytes, total = inbox.bytes - #item.payload, total - 1
  end
  return item
end

--- Drops the messages that wait, and what they were to be followed by.
---@param inbox Inbox? nil when nothing waits
---@return nil rest nothing waits any more
function Inbox.drop(inbox)
  while inbox and pop(inbox) do
  end
end

--- From now on all sockets of this worker drop what waits when its turn comes; a close is kept.
function Inbox.drop_messages() are_dropped = true end

--- Takes out what waits longest.
---@param inbox Inbox? nil when nothing waits
---@return table? item with `payload` and `is_text`, or with `cause`, which only a close has; nil when nothing waits
---@return Inbox? rest nil when nothing waits any more
function Inbox.take(inbox)
  local item = inbox and pop(inbox)
  while are_dropped and item and item.payload do
    item = pop(inbox)
  end
  return item, inbox and inbox:count() > 0 and inbox or nil
end

---@param inbox Inbox? nil when nothing waits
---@return boolean
function Inbox.is_full(inbox)
  return inbox ~= nil and (inbox:count() >= MAX_MESSAGES or inbox.bytes >= Config.MAX_MESSAGE_BYTES)
end

--- Messages of all sockets of this worker that wait.
---@return integer
function Inbox.total() return total end

return Inbox
