-- Sends all waiting outboxes in one turn of the event loop, with nginx's own send function for a plain socket.
-- Waking each socket's thread would be the larger part of a frame's cost. That thread (socket/writer.lua) is woken only for
-- what the flusher cannot do: TLS, a close frame, a full socket, an outbox with too much waiting.
--
-- Used only for transports with an address (runtime/direct_io.lua). TLS sockets have none and are left to writer.lua.

local DirectIo = require "framegate.runtime.direct_io"
local Log = require "framegate.runtime.log"
local semaphore = require "ngx.semaphore"

---@class Flusher
---@field due Outbox[] in which something waits
---@field count integer of them
---@field arrival table semaphore on which its thread waits
---@field is_stopped boolean
local Flusher = {}
Flusher.__index = Flusher

local WAIT_SECONDS = 3600

---@return Flusher
function Flusher.new()
  return setmetatable({ due = {}, count = 0, arrival = semaphore.new(), is_stopped = false }, Flusher)
end

-- Above the bound a reader may wait for room, and only the writer's thread reports when there is some.
local function send(outbox)
  local transport = outbox.transport
  if outbox.count == 0 or not transport then
    return
  end
  local address = transport.address
  if not address or outbox.is_closed or outbox:is_full() then
    return transport:wake()
  end
  local data, bytes
  repeat
    data = outbox:take()
    bytes = DirectIo.send(address, data)
    if bytes == #data then
      outbox:sent(bytes)
      if outbox.count == 0 then
        return
      end
    end
  until bytes ~= #data
  -- The thread waits for room, or learns that the peer is gone.
  outbox:sent(bytes)
  outbox:put_back(data:sub(bytes + 1))
  return transport:wake()
end

local function send_all(outboxes, last)
  for i = 1, last do
    send(outboxes[i])
  end
end

local function wake_all(outboxes, last)
  for i = 1, last do
    local transport = outboxes[i].transport
    if transport then
      transport:wake()
    end
  end
end

local function send_due(self)
  local outboxes, last = self.due, self.count
  self.due, self.count = {}, 0
  local ok, err = xpcall(send_all, debug.traceback, outboxes, last)
  if not ok then
    Log.error(nil, "sending failed: ", err)
    wake_all(outboxes, last)
  end
end

local function run(premature, self)
  while not premature and not self.is_stopped do
    if self.count == 0 then
      self.arrival:wait(WAIT_SECONDS)
    end
    send_due(self)
  end
end

--- Adds an outbox that was empty and now has a waiting frame.
---@param outbox Outbox
function Flusher:add(outbox)
  local count = self.count + 1
  self.count, self.due[count] = count, outbox
  if count == 1 then
    self.arrival:post()
  end
end

--- Starts its thread, in a worker.
function Flusher:start() ngx.timer.at(0, Log.caught("sending", run), self) end

--- Ends the thread, which would otherwise keep a worker alive that is shutting down.
function Flusher:stop()
  self.is_stopped = true
  self.arrival:post()
end

return Flusher
