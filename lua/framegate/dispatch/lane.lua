-- A lane carries events to the handler: a light thread outside every client's request, with one kept-alive connection to nginx's
-- internal server. dispatch.lua decides what it carries. Its timer keeps the memory of its connections, so another lane replaces
-- it now and then.

local semaphore = require "ngx.semaphore"
local Answer = require "framegate.dispatch.answer"
local Batch = require "framegate.dispatch.batch"
local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Event = require "framegate.dispatch.event"
local HttpResponse = require "framegate.dispatch.http_response"
local Log = require "framegate.runtime.log"
local Threads = require "framegate.runtime.threads"

local now = Clock.monotonic

---@class Lane
---@field started number? when its request began; nil while it is idle
---@field took number? seconds until the first answer to that request
---@field has_answered boolean whether answers were handed on, and others are still to come
local Lane = {}
Lane.__index = Lane

local REQUESTS, CONNECTIONS = 1000, 50 -- before another lane replaces it
local IDLE_CYCLES = 150 -- the same: ngx_lua parses the address anew, some 300 bytes, for a connection out of its pool
local IDLE_SECONDS = 60
local NEW_ATTEMPTS = 3
local CONNECT_MS, SEND_MS = 2000, 10000

---@class LaneOptions one table for all lanes of a worker
---@field on_answer fun(event: Event, answer: Answer) what became of an event
---@field on_unbatch fun(event: Event) the handler takes no batches, and has not seen the event
---@field on_free fun(lane: Lane) it may carry something again
---@field on_retired fun(lane: Lane) it has ended
---@field members_version fun(): integer changes whenever a worker joins or goes
---@field is_direct fun(): boolean whether requests go straight to the handler, past the internal server
---@field next_address fun(): table?, string? host and port of a handler, and its name if it speaks TLS

---@param options LaneOptions
---@return Lane
function Lane.new(options) return setmetatable({ options = options, semaphore = semaphore.new() }, Lane) end

--- Gives the lane its next events. One that takes batches may come with others.
---@param events Event[]
function Lane:carry(events)
  self.events, self.started, self.took, self.has_answered = events, now(), nil, false
  self.semaphore:post()
end

--- How long the next reads of the answer may take.
---@param seconds number
function Lane:limit_reading(seconds)
  if self.socket then
    self.socket:settimeouts(CONNECT_MS, SEND_MS, math.max(seconds, 0.001) * 1000)
  end
end

--- Ends the lane if it is idle.
function Lane:stop()
  self.is_stopped = true
  self.semaphore:post()
end

local function connect_to_handler(self, socket)
  local address, tls_name = self.options.next_address()
  if not address then
    return nil, "no address is known"
  end
  local ok, err = socket:connect(address[1], address[2])
  if ok and tls_name then
    ok, err = socket:sslhandshake(nil, tls_name, false)
  end
  return ok, err
end

-- A worker that is going away closes its end after an answer. What a lane wrote there would be sent again, but nginx logs an error.
local function connect(self)
  local version = self.options.members_version()
  if self.members ~= version then
    self:disconnect()
    self.members = version
  end
  if self.socket then
    return self.socket
  end
  local socket = self.parked or ngx.socket.tcp()
  self.parked, self.is_direct = nil, self.options.is_direct()
  socket:settimeouts(CONNECT_MS, SEND_MS, Config.HANDLER_TIMEOUT * 1000)
  local ok, err
  if self.is_direct then
    ok, err = connect_to_handler(self, socket)
  else
    ok, err = socket:connect("unix:" .. Config.run .. "/internal/dispatch.sock")
  end
  if not ok then
    return nil, err
  end
  self.socket = socket
  if socket:getreusedtimes() == 0 then
    self.connections = self.connections + 1
  end
  return socket
end

-- While the lane waits ngx_lua's pool has its connection, and notices when the other side closes it.
local function park(self)
  if self.socket then
    self.socket:setkeepalive(IDLE_SECONDS * 1000, 1024)
    self.parked, self.socket, self.idle_cycles = self.socket, nil, self.idle_cycles + 1
  end
end

function Lane:disconnect()
  if self.socket then
    self.socket:close()
    self.socket = nil
  end
end

-- A connection that was idle may have been closed by a worker that is going away. It has not read the request then: writing fails, or
-- reading ends in a reset because bytes were left unread. All in the pool may be of that kind; a new one is tried a few times.
--- Sends a request and reads the head of its answer.
---@param request string|table pieces of it
---@return HttpResponse?
---@return string? failure as Answer names it
function Lane:exchange(request)
  local new = 0
  while new < NEW_ATTEMPTS do
    local socket, err = connect(self)
    if not socket then
      return nil, "unavailable", err
    end
    new = new + (socket:getreusedtimes() == 0 and 1 or 0)
    if socket:send(request) then
      local response, is_untouched
      response, err, is_untouched = HttpResponse.read(socket)
      if response then
        self.took = now() - self.started
        return response
      end
      self:disconnect()
      if err == "timeout" then
        return nil, "timeout"
      end
      if not (is_untouched and err == "connection reset by peer") then
        return nil, "lost", err
      end
    else
      self:disconnect()
    end
  end
  return nil, "unavailable"
end

--- The response was read: the connection is kept if another request may follow.
---@param response HttpResponse
function Lane:finish(response)
  if not response:is_reusable() then
    self:disconnect()
  end
end

local function carry_one(self, event)
  local response, failure = self:exchange(Event.to_request(event))
  if not response then
    return self.options.on_answer(event, Answer.failed(failure))
  end
  failure = Answer.failure_of(response, self.is_direct)
  local body, err = response:read_body()
  if not body then
    self:disconnect()
    failure = failure or (err == "timeout" and "timeout" or "lost")
  else
    self:finish(response)
  end
  if failure then
    local answer = Answer.failed(failure)
    answer.retry_after = tonumber(response.headers["retry-after"])
    return self.options.on_answer(event, answer)
  end
  self.options.on_answer(event, { status = response.status, headers = response.headers, body = body })
end

local function next_events(self)
  while not self.events do
    park(self)
    local woken = self.semaphore:wait(IDLE_SECONDS)
    if not self.events and (self.is_stopped or not woken) then
      return nil
    end
  end
  local events = self.events
  self.events = nil
  return events
end

local function carry_events(self, events)
  if #events == 1 then
    carry_one(self, events[1])
  else
    Batch.carry(self, events)
  end
end

local function work(self)
  for request = 1, REQUESTS do
    local events = next_events(self)
    if not events then
      return
    end
    self.carried = events
    carry_events(self, events)
    self.started, self.carried = nil, nil
    if request == REQUESTS or self.connections >= CONNECTIONS or self.idle_cycles >= IDLE_CYCLES then
      return -- a lane that ends must not be offered as free
    end
    self.options.on_free(self)
  end
end

-- A defect must cost neither the lane nor the events it holds.
local function run(_, self)
  self.connections, self.idle_cycles = 0, 0
  local ok, err = xpcall(work, debug.traceback, self)
  self:disconnect()
  if not ok then
    Log.error(nil, "a lane failed: ", err)
    for _, event in ipairs(self.carried or {}) do
      if not event.is_answered then
        self.options.on_answer(event, Answer.failed("lost"))
      end
    end
  end
  self.options.on_retired(self)
end

-- The events it was given are lost as if the connection had broken before they were sent.
local function fail(self, err)
  Log.error(nil, "could not open a lane to the handler: ", err)
  for _, event in ipairs(self.events or {}) do
    self.options.on_answer(event, Answer.failed("unavailable"))
  end
  self.options.on_retired(self)
end

--- Starts the lane's thread.
---@return Lane self
function Lane:start()
  Threads.run(run, self, fail)
  return self
end

return Lane
