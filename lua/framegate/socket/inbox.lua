-- Messages of one socket that wait for the answer to the event in flight, and events of the gateway's own: an alarm, or that
-- its client is away or back. A close may be the last.
-- A connection has an inbox only while something waits, because most sockets are idle.

local Config = require "framegate.config"
local Queue = require "framegate.runtime.queue"

---@class Inbox: Queue
---@field bytes integer of the messages in it
---@field has_close boolean? whether a close waits in it: nothing comes after that
local Inbox = {}

-- Above this the gateway stops reading, and TCP slows the client down.
local MAX_MESSAGES = 64

local total = 0 -- waiting messages of all sockets of this worker
local are_dropped = false -- whether waiting messages are dropped when their turn comes

local function new()
  local inbox = Queue.new()
  inbox.bytes = 0
  return inbox
end

---@param inbox Inbox? nil when nothing waits
---@param payload string
---@param is_text boolean
---@return Inbox that also holds the message, unless a close already waits
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
---@return Inbox that also holds the close
function Inbox.add_close(inbox, close)
  inbox = inbox or new()
  inbox:push(close)
  inbox.has_close = true
  return inbox
end

---@param inbox Inbox? nil when nothing waits
---@param own { kind: "alarm"|"detach"|"resume", alarm: Alarm? } an event that no message of the client causes;
--- with an alarm, it is dropped when that was replaced
---@return Inbox that also holds the event, unless a close already waits
function Inbox.add_own(inbox, own)
  inbox = inbox or new()
  if not inbox.has_close then
    inbox:push(own)
  end
  return inbox
end

--- Whether an event of the gateway's own waits that nothing takes away.
---@param inbox Inbox? nil when nothing waits
---@param kind "alarm"|"detach"|"resume"
---@return boolean
function Inbox.has_lasting(inbox, kind)
  for i = inbox and inbox.first or 1, inbox and inbox.last or 0 do
    if inbox[i].kind == kind and not inbox[i].alarm then
      return true
    end
  end
  return false
end

-- Takes out the oldest item.
local function pop(inbox)
  local item = inbox:pop()
  if item and item.payload then
    inbox.bytes, total = inbox.bytes - #item.payload, total - 1
  end
  return item
end

--- Drops everything that waits: messages, an alarm, and a close after them.
---@param inbox Inbox? nil when nothing waits
---@return nil rest nothing waits any more
function Inbox.drop(inbox)
  while inbox and pop(inbox) do
  end
end

--- From now on all plain sockets of this worker drop what waits when its turn comes; a close is kept. Sessions keep all of
--- it: it has arrived, and goes on where the session goes.
function Inbox.drop_messages() are_dropped = true end

local function is_void(item) return item.alarm ~= nil and item.alarm.is_over == true end

-- Whether an item is dropped when its turn comes: an alarm was replaced or taken away meanwhile.
local function is_over(item) return is_void(item) or are_dropped and not item.cause end

--- Takes out the oldest item.
---@param inbox Inbox? nil when nothing waits
---@param is_session boolean? whether it belongs to a session
---@return table? item with `payload` and `is_text`, with `kind`, or with `cause`, which only a close has; nil when nothing
--- waits
---@return Inbox? rest nil when nothing waits any more
function Inbox.take(inbox, is_session)
  if are_dropped and is_session then
    return nil, inbox
  end
  local item = inbox and pop(inbox)
  while item and is_over(item) do
    item = pop(inbox)
  end
  return item, inbox and inbox:count() > 0 and inbox or nil
end

---@param inbox Inbox? nil when nothing waits
---@return boolean
function Inbox.is_full(inbox)
  return inbox ~= nil and (inbox:count() >= MAX_MESSAGES or inbox.bytes >= Config.MAX_MESSAGE_BYTES)
end

--- What waits, so that another worker can go on with it. An alarm that is due is among it.
---@param inbox Inbox? nil when nothing waits
---@return table[] items with `is_text`, `kind` or `cause`; oldest first
---@return string[] payloads of the messages among them
function Inbox.contents(inbox)
  local items, payloads = {}, {}
  for i = inbox and inbox.first or 1, inbox and inbox.last or 0 do
    local item = inbox[i]
    if item.payload then
      items[#items + 1] = { is_text = item.is_text }
      payloads[#payloads + 1] = item.payload
    elseif not is_void(item) then
      items[#items + 1] = { kind = item.kind, cause = item.cause, code = item.code, reason = item.reason }
    end
  end
  return items, payloads
end

--- Counts the waiting messages of all sockets of this worker.
---@return integer
function Inbox.total() return total end

return Inbox
