-- A link between two workers: carries messages in both directions and keeps their order.
-- On the wire a message is `<bytes of head> <bytes of payload>\n<head><payload>`; the head is JSON.

local cjson = require "cjson.safe"
local Log = require "framegate.runtime.log"
local semaphore = require "ngx.semaphore"

local concat = table.concat
local spawn, kill = ngx.thread.spawn, ngx.thread.kill

---@class Link
---@field name string of the worker at the other end
local Link = {}
Link.__index = Link

local WRITE_BYTES = 65536
local CONNECT_MS, SEND_MS = 1000, 60000
local FOREVER_MS = 2 ^ 31 - 1 -- reading waits until a message comes or the link breaks

---@param name string
---@param socket table a stream socket of this request or timer
---@return Link
function Link.new(name, socket)
  socket:settimeouts(CONNECT_MS, SEND_MS, FOREVER_MS)
  return setmetatable({ name = name, socket = socket, waiting = {}, count = 0, semaphore = semaphore.new() }, Link)
end

--- Queues a message; the link's writer sends it. Does not yield.
---@param head string JSON
---@param payload string of a message for sockets, or empty
---@return boolean is_queued false when the link has ended
function Link:send(head, payload)
  if self.has_ended then
    return false
  end
  local count = self.count
  self.waiting[count + 1] = #head .. " " .. #payload .. "\n"
  self.waiting[count + 2] = head
  self.waiting[count + 3] = payload
  self.count = count + 3
  if self.semaphore:count() < 0 then
    self.semaphore:post()
  end
  return true
end

local function write_loop(self)
  while true do
    if self.count == 0 then
      if self.has_ended then
        return
      end
      self.semaphore:wait(3600)
    else
      local data = concat(self.waiting)
      self.waiting, self.count = {}, 0
      for first = 1, #data, WRITE_BYTES do
        local ok, err = self.socket:send(data:sub(first, first + WRITE_BYTES - 1))
        if not ok then
          return err
        end
      end
    end
  end
end

local function read_loop(self, on_message)
  while true do
    local line, err = self.socket:receive("*l")
    if not line then
      return err
    end
    local head_bytes, payload_bytes = line:match("^(%d+) (%d+)$")
    local head = self.socket:receive(tonumber(head_bytes))
    local payload = payload_bytes == "0" and "" or self.socket:receive(tonumber(payload_bytes))
    if not head or not payload then
      return "broken off"
    end
    local ok, failure = xpcall(on_message, debug.traceback, cjson.decode(head), payload)
    if not ok then
      Log.error(nil, "what another worker asked for failed: ", failure)
    end
  end
end

--- Serves the link until it breaks or is stopped.
---@param on_message fun(head: table, payload: string) called for each message
function Link:run(on_message)
  local reader = spawn(read_loop, self, on_message)
  local writer = spawn(write_loop, self)
  ngx.thread.wait(reader, writer)
  self.has_ended = true
  kill(reader)
  kill(writer)
end

--- Sends the messages that wait, then ends the link.
function Link:stop()
  self.has_ended = true
  self.semaphore:post()
end

return Link
