-- Sends spans to a collector, in OTLP over HTTP with JSON (opentelemetry.io/docs/specs/otlp). It works in a thread of its
-- own, so a collector that is slow or away delays nobody. Spans wait in a bounded queue; what it has no room for is counted.

local cjson = require "cjson.safe"
local semaphore = require "ngx.semaphore"
local Clock = require "framegate.runtime.clock"
local Counters = require "framegate.telemetry.counters"
local HandlerConnection = require "framegate.dispatch.handler_connection"
local HttpResponse = require "framegate.dispatch.http_response"
local Log = require "framegate.runtime.log"
local Peers = require "framegate.dispatch.peers"
local Queue = require "framegate.runtime.queue"
local Span = require "framegate.telemetry.span"
local Task = require "framegate.runtime.task"
local Turn = require "framegate.runtime.turn"
local UpstreamUrl = require "framegate.protocol.upstream_url"

local now, concat = Clock.monotonic, table.concat

---@class SpanExporter
---@field private queue Queue of EndedSpan, or of those that were written before, in JSON
---@field private woken table semaphore
---@field private peers Peers the addresses of the collector
---@field private connection HandlerConnection
---@field private is_away boolean whether the last attempt has failed
---@field private in_flight integer spans in the request that is under way
---@field private is_stopped boolean?
local SpanExporter = {}
SpanExporter.__index = SpanExporter

local COUNTED = Counters.place "framegate_spans_total"
local PATH = "/v1/traces"
local MOST_WAITING = 2048 -- spans
local A_REQUEST = 512 -- spans
local A_TURN = 32 -- spans, which take less than half a millisecond
local PAUSE_SECONDS = 1 -- between two requests, unless there are spans for a whole one
local ANSWER_SECONDS = 30
local LAST_SECONDS = 1 -- for what is left when the worker ends
local MOST_SECONDS = 3600 -- for all requests in a row, each of which has limits of its own
local MOST_ANSWER = 65536 -- bytes
local RETRIED = { [429] = true, [502] = true, [503] = true, [504] = true }

local function head_of(target, path, headers)
  local host = target.host .. (target.port and ":" .. target.port or "")
  local lines = { "POST " .. path .. PATH .. " HTTP/1.1", "host: " .. host, "content-type: application/json" }
  for _, header in ipairs(headers) do
    lines[#lines + 1] = header.name .. ": " .. header.value
  end
  lines[#lines + 1] = "content-length: "
  return concat(lines, "\r\n")
end

---@param options { endpoint: string, headers: { name: string, value: string }[], resource: table,
---  look_up: (fun(host: string): string[]?, string?) } `endpoint` as UpstreamUrl.with_path reads it; `resource`: attributes
---  as Span.attributes takes them
---@return SpanExporter
function SpanExporter.new(options)
  local target, path = UpstreamUrl.with_path(options.endpoint)
  target.is_verified = true
  local self =
    setmetatable({ queue = Queue.new(), woken = semaphore.new(), is_away = false, in_flight = 0 }, SpanExporter)
  self.endpoint = options.endpoint
  self.head = head_of(target, path, options.headers)
  self.opening = ('{"resourceSpans":[{"resource":{"attributes":%s},"scopeSpans":[{"scope":{"name":"framegate"},"spans":['):format(
    Span.attributes(options.resource)
  )
  self.peers = Peers.new { name = "collector", targets = { target }, look_up = options.look_up, now = now }
  self.connection = HandlerConnection.new(self.peers)
  self.sending = Task.new("sending spans", function() self:work() end)
  return self
end

-- Reads the answer to a request. Returns nil if there is none.
local function read_answer(self)
  local connection = self.connection
  connection:limit_reading(ANSWER_SECONDS)
  local response = HttpResponse.read(connection.socket, now() + ANSWER_SECONDS)
  local body = response and response:read_body(MOST_ANSWER)
  if not body or not response:is_reusable() then
    connection:close()
  else
    connection:park()
  end
  return body and response, body
end

-- Writes spans as JSON, in their place: a few in each turn of the event loop, and each once.
local function encode(spans)
  for i, span in ipairs(spans) do
    spans[i] = type(span) == "string" and span or span:encode()
    if i % A_TURN == 0 then
      Turn.next()
    end
  end
  return concat(spans, ",")
end

-- Sends spans in one request. Returns how many were accepted; nil if the collector is to get them later; and why not.
local function send(self, spans)
  local body = self.opening .. encode(spans) .. "]}]}]}"
  local ok, failure, err = self.connection:send { self.head, #body, "\r\n\r\n", body }
  if not ok then
    self.connection:close()
    return failure ~= "unavailable" and 0 or nil, err or "the connection broke"
  end
  local response, answer = read_answer(self)
  if not response then
    return 0, "it did not answer"
  elseif RETRIED[response.status] then
    return nil, "it answered " .. response.status
  elseif response.status ~= 200 then
    return 0, "it answered " .. response.status
  end
  local partial = (cjson.decode(answer) or {}).partialSuccess
  local rejected = type(partial) == "table" and tonumber(partial.rejectedSpans) or 0
  return math.max(#spans - rejected, 0), nil
end

-- The collector may be away for long: that is logged once, and then that it is back.
local function note(self, reason)
  if reason and not self.is_away then
    Log.warn(nil, "spans cannot be sent to ", self.endpoint, ": ", reason)
  elseif self.is_away and not reason then
    Log.warn(nil, "spans can be sent again to ", self.endpoint)
  end
  self.is_away = reason ~= nil
end

local function take(queue)
  local spans = {}
  while queue:peek() and #spans < A_REQUEST do
    spans[#spans + 1] = queue:pop()
  end
  return spans
end

local function put_back(queue, spans)
  for i = #spans, 1, -1 do
    queue:push_front(spans[i])
  end
end

-- Sends what waits. Stops when the collector takes nothing now.
local function send_all(self)
  if self.is_away then
    self.peers:refresh()
  end
  repeat
    local spans = take(self.queue)
    self.in_flight = #spans
    local accepted, reason = send(self, spans)
    self.in_flight = 0
    note(self, reason)
    if accepted then
      Counters.count(COUNTED.sent, accepted)
      Counters.count(COUNTED.failed, #spans - accepted)
    else
      put_back(self.queue, spans)
    end
  until reason or self.queue:count() < A_REQUEST and not self.is_stopped or self.queue:count() == 0
end

local function wait(self, seconds, is_over)
  local deadline = now() + seconds
  while not is_over() and now() < deadline do
    self.woken:wait(math.max(deadline - now(), 0.001))
  end
end

-- Counts spans whose request was broken off.
local function give_up(self)
  Counters.count(COUNTED.failed, self.in_flight)
  self.in_flight = 0
end

local send_safely = Log.caught("sending spans", send_all)

-- Sends what waits. When the worker ends meanwhile, that gets a short time.
local function send_bounded(self)
  local is_done = false
  local thread = ngx.thread.spawn(function()
    send_safely(self)
    give_up(self)
    is_done = true
    self.woken:post()
  end)
  wait(self, MOST_SECONDS, function() return is_done or self.is_stopped end)
  wait(self, LAST_SECONDS, function() return is_done end)
  if not is_done then
    ngx.thread.kill(thread)
    self.connection:close()
    give_up(self)
  end
end

-- Drops what waits, because the worker ends.
local function drop_all(self)
  Counters.count(COUNTED.dropped, self.queue:count())
  self.queue = Queue.new()
end

--- Works while spans wait. Yields.
function SpanExporter:work()
  self.connection = HandlerConnection.new(self.peers)
  while self.queue:count() > 0 do
    wait(
      self,
      PAUSE_SECONDS,
      function() return self.is_stopped or not self.is_away and self.queue:count() >= A_REQUEST end
    )
    if not (self.is_stopped and self.is_away) then
      send_bounded(self)
    end
    if self.is_stopped then
      drop_all(self)
    end
  end
end

--- Takes a span, which is sent soon. Does not yield.
---@param span EndedSpan
function SpanExporter:add(span)
  local count = self.queue:count()
  if count >= MOST_WAITING then
    return Counters.count(COUNTED.dropped)
  end
  self.queue:push(span)
  self.sending:begin()
  if count + 1 == A_REQUEST then
    self.woken:post()
  end
end

--- Sends what waits now, because this worker ends.
function SpanExporter:stop()
  self.is_stopped = true
  self.woken:post()
end

return SpanExporter
