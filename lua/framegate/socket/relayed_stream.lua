-- A streamed answer that another worker reads from the handler, because the socket came from there (relay.lua).
-- To the socket it is like a stream of its own worker.

local Answer = require "framegate.dispatch.answer"
local Log = require "framegate.runtime.log"

---@class RelayedStream
---@field event { id: string, kind: string } whose answer it is
---@field hops integer workers that pass it on
---@field private key string as Relay
---@field private from string name of the worker that passes it on
---@field private connection Connection|Relay
---@field private reply fun(result: table)? asks for more, once the socket has room
---@field private is_stopped boolean?
local RelayedStream = {}
RelayedStream.__index = RelayedStream

local MOST_HOPS = 16

local bus, dispatch
local streams -- by key

--- Gives this module the instances of its worker.
---@param worker Worker
function RelayedStream.wire(worker)
  streams = {}
  bus, dispatch = worker.bus, worker.dispatch
  bus:watch(RelayedStream.lost)
end

--- Gives a connection that came from another worker the stream that it had there.
---@param connection Connection
---@param facts { key: string, from: string, event: string, hops: integer } as Relay gives them
function RelayedStream.begin(connection, facts)
  local self = setmetatable({
    key = facts.key,
    from = facts.from,
    event = { id = facts.event, kind = "message" },
    hops = facts.hops,
    connection = connection,
  }, RelayedStream)
  streams[self.key] = self
  dispatch:hold(1)
  connection.is_in_flight, connection.stream = true, self
end

local answer_safely = Log.caught(
  "the end of a stream from another worker",
  function(self, answer) self.connection:answered(self.event, answer) end
)

local function finish(self, answer)
  streams[self.key] = nil
  answer_safely(self, answer)
  dispatch:hold(-1)
  dispatch:check_idle()
end

local function lost() return Answer.of_stream("lost", "the handler's stream broke before its end") end

local function ask_for_more(self)
  local reply = self.reply
  if reply then
    self.reply = nil
    reply {}
  end
end

--- Accepts frames of a stream, and its end.
---@param args { key: string, lengths: integer[], is_text: boolean, answer: Answer? }
---@param payload string the frames, one behind the other
---@return table|fun(reply: fun(result: table)) result when more may come
function RelayedStream.take(args, payload)
  local self, first = streams[args.key], 1
  if not self then
    return { is_gone = true }
  end
  for _, length in ipairs(args.lengths) do
    self.connection:send(payload:sub(first, first + length - 1), args.is_text)
    first = first + length
  end
  if args.answer then
    finish(self, args.answer)
  elseif self.connection.outbox:is_full() and not self.is_stopped then
    return function(reply) self.reply = reply end
  end
  return {}
end

--- Whether it can go along with its socket to another worker.
---@return boolean
function RelayedStream:may_move() return self.hops < MOST_HOPS end

--- Gives it to a relay in place of its connection, or back.
---@param connection Connection|Relay
function RelayedStream:divert(connection) self.connection = connection end

--- Goes on: the socket may take more.
function RelayedStream:resume()
  if not self.connection.outbox:is_full() then
    ask_for_more(self)
  end
end

--- Ends the stream. Its end comes from the other worker.
---@param answer Answer? why, for the client; nil when it needs no reason, because its socket ends
function RelayedStream:stop(answer)
  if not self.is_stopped then
    self.is_stopped = true
    bus:ask(
      self.from,
      { op = "stop_stream", args = { key = self.key, answer = answer }, payload = "" },
      function(result)
        if (not result or result.is_gone) and streams[self.key] == self then
          finish(self, answer or lost())
        end
      end
    )
    ask_for_more(self)
  end
end

--- Ends the streams that a worker passed on which was killed.
---@param name string of the worker
function RelayedStream.lost(name)
  local all = {}
  for _, self in pairs(streams) do
    all[#all + 1] = self.from == name and self or nil
  end
  for _, self in ipairs(all) do
    finish(self, lost())
  end
end

return RelayedStream
