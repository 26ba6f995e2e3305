-- Passes a streamed answer on to the worker that has the socket now. To the stream it is the connection.
-- relayed_stream.lua is the other side. One message is on its way at a time, and its result comes when the socket may take
-- more. So a client that reads slowly slows the handler down.

local Relay = {}
Relay.__index = Relay

---@class Relay
---@field private key string names it in both workers
---@field private to string name of the worker that has the socket
---@field private stream Stream|RelayedStream
---@field private is_held boolean whether that worker may not have the socket yet
---@field private is_asking boolean? whether a message is on its way
---@field private frames string[] that wait
---@field private bytes integer of them
---@field private is_text boolean
---@field private event Event? the event of the stream, when it has ended
---@field private answer Answer? with which it has ended
---@field outbox Relay what a stream asks for room
local MOST_BYTES = 65536 -- that wait here; with more, nothing is read from the handler

local bus, dispatch, own
local relays, last -- by key; the number of the last one

--- Gives this module the instances of its worker.
---@param worker Worker
function Relay.wire(worker)
  relays, last = {}, 0
  bus, dispatch, own = worker.bus, worker.dispatch, worker.members:worker()
  bus:watch(Relay.lost)
end

--- Takes over what the stream of a connection sends, which is about to be sent to another worker of this node.
---@param connection Connection with a stream
---@param to string name of the worker
---@return Relay
function Relay.begin(connection, to)
  last = last + 1
  local self = setmetatable({
    key = own .. "/" .. last,
    to = to,
    stream = connection.stream,
    is_held = true,
    frames = {},
    bytes = 0,
  }, Relay)
  self.outbox = self
  relays[self.key] = self
  dispatch:hold(1) -- this worker lives until the stream has ended
  self.stream:divert(self)
  return self
end

--- What the other side needs to know of the stream.
---@return { key: string, from: string, event: string, hops: integer }
function Relay:facts() return { key = self.key, from = own, event = self.stream.event.id, hops = self.stream.hops + 1 } end

local function release(self)
  relays[self.key] = nil
  dispatch:hold(-1)
  dispatch:check_idle()
end

-- Ends the relay: the other side has the end of the stream, or wants no more.
local function finish(self)
  if relays[self.key] then
    release(self)
    if not self.answer then
      self.stream:stop()
    end
  end
end

local function lengths_of(frames)
  local lengths = {}
  for i, frame in ipairs(frames) do
    lengths[i] = #frame
  end
  return lengths
end

local function pass_on(self)
  local frames, answer = self.frames, self.answer
  if self.is_held or self.is_asking or not relays[self.key] or not (frames[1] or answer) then
    return
  end
  self.frames, self.bytes, self.is_asking = {}, 0, true
  local args = { key = self.key, lengths = lengths_of(frames), is_text = self.is_text, answer = answer }
  bus:ask(self.to, { op = "relay_stream", args = args, payload = table.concat(frames) }, function(result)
    self.is_asking = false
    if answer or not result or result.is_gone then
      return finish(self)
    end
    self.stream:resume()
    pass_on(self)
  end)
end

--- Accepts a frame of the stream.
---@param payload string
---@param is_text boolean
function Relay:send(payload, is_text)
  self.frames[#self.frames + 1] = payload
  self.bytes, self.is_text = self.bytes + #payload, is_text
  pass_on(self)
end

--- Whether so much waits that the stream must wait, too.
---@return boolean
function Relay:is_full() return self.bytes >= MOST_BYTES end

--- Accepts the end of the stream.
---@param event Event
---@param answer Answer
function Relay:answered(event, answer)
  self.event, self.answer = event, answer
  pass_on(self)
end

-- Gives the stream back, because the socket stays.
local function give_back(self, connection)
  self.stream:divert(connection)
  for _, payload in ipairs(self.frames) do
    connection:send(payload, self.is_text)
  end
  if self.answer then
    connection:answered(self.event, self.answer)
  end
  release(self)
end

--- Begins to pass on, or gives the stream back.
---@param connection Connection that it came from
---@param has_moved boolean whether the other worker has the socket; else it stays
function Relay:settle(connection, has_moved)
  if not has_moved then
    return give_back(self, connection)
  end
  connection.stream, self.is_held = nil, false
  pass_on(self)
  if not self.is_asking then
    self.stream:resume() -- it may wait for room in the outbox that has left
  end
end

--- Ends the stream for the other side: its socket ends, or goes to another node.
---@param args { key: string, answer: Answer? }
---@return table result
function Relay.stop(args)
  local self = relays[args.key]
  if not self then
    return { is_gone = true }
  end
  self.stream:stop(args.answer)
  return {}
end

--- Ends the streams of sockets whose worker was killed.
---@param name string of the worker
function Relay.lost(name)
  local all = {}
  for _, self in pairs(relays) do
    all[#all + 1] = self.to == name and not self.is_held and self or nil
  end
  for _, self in ipairs(all) do
    finish(self)
  end
end

return Relay
