-- A lane: a light thread that carries events to a handler, one request at a time, over a connection that it keeps.
-- It runs in a timer, outside every client's request. dispatch.lua decides what it carries.
-- The timer's pool keeps memory of each connection and of the largest request, so another lane replaces it now and
-- then.

local semaphore = require "ngx.semaphore"
local Answer = require "framegate.dispatch.answer"
local Batch = require "framegate.dispatch.batch"
local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Dialects = require "framegate.dispatch.dialects"
local Gc = require "framegate.runtime.gc"
local HandlerConnection = require "framegate.dispatch.handler_connection"
local HttpResponse = require "framegate.dispatch.http_response"
local Log = require "framegate.runtime.log"
local Stream = require "framegate.dispatch.stream"
local Threads = require "framegate.runtime.threads"

local now = Clock.monotonic

---@class Lane
---@field started number? when its request began, in seconds of the monotonic clock; nil while it is idle
---@field took number? seconds until the first answer to that request
---@field has_answered boolean whether some answers were passed on, while others are still to come
---@field is_stream boolean? whether it carries a stream, after which it ends
local Lane = {}
Lane.__index = Lane

-- Limits after which another lane replaces this one.
local REQUESTS, CONNECTIONS = 1000, 50
local IDLE_CYCLES = 150 -- ngx_lua parses the address again (some 300 bytes) for each connection from its pool
local LARGE_BYTES = 1024 * 1024 -- of one event

local IDLE_SECONDS = 60
local REST_SECONDS = 1 -- for the answer of a handler that stopped reading

---@class LaneOptions one table for all lanes of a worker
---@field on_answer fun(event: Event, answer: Answer) an event has its outcome
---@field on_alone fun(event: Event) the handler has not processed the event, because its answer would stream: it comes again
---@field on_stream fun(lane: Lane, event: Event): boolean an answer begins to stream; false when too many do
---@field on_unbatch fun(event: Event) the handler accepts no batches, and has not seen the event
---@field on_free fun(lane: Lane) the lane may carry events again
---@field on_retired fun(lane: Lane) the lane has ended
---@field peers Peers the addresses of the handler
---@field protocol table how to speak with it: http.lua or fastcgi.lua
---@field signer Signer? signs what is sent

---@param options LaneOptions
---@return Lane
function Lane.new(options)
  return setmetatable({
    options = options,
    semaphore = semaphore.new(),
    connection = HandlerConnection.new(options.peers),
  }, Lane)
end

--- Gives the lane its next events. There is more than one only if their handler accepts batches.
---@param events Event[]
function Lane:carry(events)
  self.events, self.started, self.took, self.has_answered = events, now(), nil, false
  self.semaphore:post()
end

--- Ends the lane if it is idle.
function Lane:stop()
  self.is_stopped = true
  self.semaphore:post()
end

--- Sends a request and reads the head of its answer.
---@param request (string|number)[]|fun(peer: Peer): string[] pieces of it, or what gives them for a peer
---@return HttpResponse?
---@return string? failure as Answer names it
---@return string? detail what is wrong with the answer
function Lane:exchange(request)
  local connection = self.connection
  local ok, failure = connection:send(request)
  if not ok and failure ~= "lost" then
    return nil, failure
  end
  -- A handler may answer and close before it has read the whole request.
  local seconds = ok and Config.HANDLER_TIMEOUT or REST_SECONDS
  connection:limit_reading(seconds)
  local response, err, is_garbled = self.options.protocol.read(connection, now() + seconds)
  if response then
    response.is_ambiguous = response.is_ambiguous or not ok
    self.took = now() - self.started
    return response
  end
  connection:close()
  if is_garbled then
    return nil, "malformed", err
  end
  if ok and err == "timeout" then
    connection:distrust()
    return nil, "timeout"
  end
  return nil, "lost"
end

--- Keeps the connection after a response if another request may follow, or else closes it.
---@param response HttpResponse
function Lane:finish(response)
  if not response:is_reusable() then
    self.connection:close()
  end
end

--- Closes the connection, because the body of a response could not be read.
---@param response HttpResponse
---@param err string from it
---@return Answer
function Lane:broken(response, err)
  self.connection:close()
  if err == HttpResponse.TOO_LARGE then
    return Answer.too_large()
  elseif response.is_garbled then
    return Answer.failed("malformed", err)
  end
  return Answer.failed(err == "timeout" and "timeout" or "lost")
end

local function carry_one(self, event)
  local on_answer = self.options.on_answer
  local request, refused = self.options.protocol.request(event, self.options.signer)
  if not request then
    return on_answer(event, Answer.failed(refused))
  end
  local response, failure, detail = self:exchange(request)
  if not response then
    return on_answer(event, Answer.failed(failure, detail))
  end
  local dialect = Dialects.of(event.connection)
  local parser = dialect.stream(event, response)
  if parser then
    return Stream.carry(self, event, response, parser)
  end
  local body, err = response:read_body(Config.MAX_ANSWER_BYTES)
  if not body then
    return on_answer(event, self:broken(response, err))
  end
  self:finish(response)
  Gc.note_body(#body)
  on_answer(event, dialect.answer(event, { status = response.status, headers = response.headers, body = body }))
end

local function next_events(self)
  while not self.events do
    self.connection:park()
    local woken = self.semaphore:wait(IDLE_SECONDS)
    if not self.events and (self.is_stopped or not woken) then
      return nil
    end
  end
  local events = self.events
  self.events = nil
  return events
end

-- Returns the bytes of the largest event.
local function carry_events(self, events)
  local largest = 0
  for _, event in ipairs(events) do
    largest = math.max(largest, #event.body)
  end
  Gc.note_body(largest)
  if #events == 1 then
    carry_one(self, events[1])
  else
    Batch.carry(self, events)
  end
  return largest
end

local function work(self)
  local connection = self.connection
  for request = 1, REQUESTS do
    local events = next_events(self)
    if not events then
      return
    end
    self.carried = events
    local largest = carry_events(self, events)
    self.started, self.carried = nil, nil
    if self.is_stream then
      return connection:park()
    elseif
      request == REQUESTS
      or largest >= LARGE_BYTES
      or connection.made >= CONNECTIONS
      or connection.idle_cycles >= IDLE_CYCLES
    then
      return -- without on_free: a lane that ends must not get events
    end
    self.options.on_free(self)
  end
end

-- Runs the lane. If it fails, its events still get an outcome and its place in the pool is freed.
local function run(_, self)
  local ok, err = xpcall(work, debug.traceback, self)
  self.connection:close()
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

-- Fails the events of a lane that could not start.
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
