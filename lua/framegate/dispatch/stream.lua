-- A streamed answer: its frames go to the socket while the handler makes them. The event stays in flight until it ends.
-- One thread reads the response. The lane's own thread waits for its end, and ends it early: a cosocket may be closed only
-- in the timer that made it, and the socket of a client that leaves belongs to another request.

local semaphore = require "ngx.semaphore"
local Answer = require "framegate.dispatch.answer"
local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Log = require "framegate.runtime.log"
local StreamParser = require "framegate.dispatch.stream_parser"

local now = Clock.monotonic

---@class Stream
---@field head Answer status and headers of the response, with an empty body
---@field event Event whose answer it is
---@field hops integer workers that pass it on; 0 here
---@field private connection Connection|Relay
---@field private response HttpResponse
---@field private parser StreamParser
---@field private ended table semaphore: posted when there is an outcome
---@field private room table semaphore: posted when the socket may take more
---@field private is_waiting boolean? whether the reading thread waits for that
---@field private outcome Answer? how the event ended
---@field private is_complete boolean? whether the response was read to its end
---@field private is_held boolean whether what the head asks for is not done yet
local Stream = {}
Stream.__index = Stream

local READ_BYTES = 8192 -- in one read: frames that are cut out of less memory are cut out faster

-- The answer that a stream ends with. What closes the socket comes after its frames.
local function closing(head) return { status = 204, headers = { ["ws-close"] = head.headers["ws-close"] }, body = "" } end

local NOTHING = { status = 204, headers = {}, body = "" }

local function set_outcome(self, answer)
  if not self.outcome then
    self.outcome = answer
    self.ended:post()
  end
end

local function failure_of(self, err)
  if self.response.is_garbled then
    return Answer.failed("malformed", err)
  elseif err == "timeout" then
    return Answer.of_stream("timeout", "the next piece of the stream did not come in time")
  end
  return Answer.of_stream("lost", "the handler's stream broke before its end")
end

local function take(self, frames, err)
  for _, payload in ipairs(frames) do
    self.connection:send(payload, self.parser.is_text)
  end
  if err then
    set_outcome(self, err == StreamParser.TOO_LARGE and Answer.too_large() or Answer.failed("malformed", err))
  end
end

local function read(self)
  local response = self.response
  while not self.outcome do
    if self.is_held or self.connection.outbox:is_full() then
      self.is_waiting = true
      self.room:wait(Config.STREAM_TIMEOUT)
    else
      response:extend(now() + Config.HANDLER_TIMEOUT)
      local piece, err = response:next_piece()
      if piece then
        take(self, self.parser:feed(piece, response:is_at_boundary()))
      elseif err then
        set_outcome(self, failure_of(self, err))
      else
        self.is_complete = true
        take(self, self.parser:finish())
        set_outcome(self, closing(self.head))
      end
    end
  end
end

local function run(self)
  local ok, err = xpcall(read, debug.traceback, self)
  if not ok then
    Log.error(nil, "reading a stream failed: ", err)
    set_outcome(self, Answer.of_stream("lost", "the stream could not be passed on"))
  end
end

-- Reads until the end, or until something ends it before.
local function wait_for_end(self)
  local reader = ngx.thread.spawn(run, self)
  if not self.ended:wait(Config.STREAM_TIMEOUT) and not self.outcome then
    self.outcome = Answer.of_stream("timeout", "the stream took longer than STREAM_TIMEOUT")
  end
  if not self.is_complete then
    ngx.thread.kill(reader) -- a cosocket that is being read cannot be closed
  end
end

--- Lets the frames go, once what the head asks for is done.
function Stream:release()
  self.is_held = false
  self:resume()
end

--- Whether it can go along with its socket to another worker.
---@return boolean
function Stream:may_move() return not self.is_held end

--- Gives it to a relay in place of its connection, or back.
---@param connection Connection|Relay
function Stream:divert(connection)
  self.connection, self.event.connection = connection, connection
end

--- Goes on reading: the socket may take more.
function Stream:resume()
  if self.is_waiting then
    self.is_waiting = false
    self.room:post()
  end
end

--- Ends the stream, and its request. The handler sees that the connection is closed.
---@param answer Answer? why, for the client; nil when it needs no reason, because its socket ends
function Stream:stop(answer) set_outcome(self, answer or NOTHING) end

--- Carries a streamed answer to its end. Yields.
---@param lane Lane
---@param event Event of a message
---@param response HttpResponse of which the head was read
---@param parser StreamParser
function Stream.carry(lane, event, response, parser)
  local options = lane.options
  local head = Answer.read { status = response.status, headers = response.headers, body = "" }
  if head.failure or not options.on_stream(lane, event) then
    lane.connection:close()
    return options.on_answer(event, head.failure and head or Answer.failed "crowded")
  end
  local self = setmetatable({
    head = head,
    event = event,
    hops = 0,
    connection = event.connection,
    response = response,
    parser = parser,
    ended = semaphore.new(),
    room = semaphore.new(),
    is_held = true,
  }, Stream)
  response.read_bytes = READ_BYTES
  event.connection:begin_stream(event, self)
  wait_for_end(self)
  if self.is_complete then
    lane:finish(response)
  else
    lane.connection:close()
  end
  options.on_answer(event, self.outcome)
end

return Stream
