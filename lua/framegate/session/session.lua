-- What makes a socket outlive its transports: a token with which its client comes back, and how far both sides are.
-- Each side counts whole messages from 0 over the life of the session, so "I have 17" is all that one side must know of the other.

local Encoder = require "framegate.protocol.encoder"
local Places = require "framegate.session.places"
local Random = require "framegate.runtime.random"
local Ring = require "framegate.session.ring"
local Texts = require "framegate.session.texts"

---@class Session
---@field token string with which the client comes back next
---@field former string? the token or nonce before that; good until the client has shown that it has the next one
---@field keep number seconds for which the socket is kept without a transport
---@field mode "check"|"notify"|nil whether a handler is asked, or gets events, when its client is away and comes back
---@field protocol string? the subprotocol
---@field received integer messages of the client
---@field ring Ring messages to the client
---@field returning table? a client that comes back, while the handler is asked (socket/resume_event.lua)
---@field newest { transport: table, fd: integer? }? the last transport that began, until its end
---@field is_stream boolean? whether its client has, or had last, an event stream in place of a WebSocket
---@field detached_at number? by Clock.monotonic, while it has no transport
---@field private reported integer messages of the client that it knows to have arrived
---@field private unreported integer bytes of those that it does not know of
local Session = {}
Session.__index = Session

local TOKEN_LENGTH = 32 -- 192 random bits
local REPORT_BYTES = 65536 -- after so many bytes the client learns what has arrived
local KNOWN_SECONDS = 2400
local LEFT_SECONDS = 30

-- Keys of a killed worker's sessions are forgotten after this time. Those of living ones are refreshed.
local function known_seconds(self) return self.keep + KNOWN_SECONDS end

---@class SessionFacts
---@field keep number
---@field mode "check"|"notify"|nil
---@field protocol string?
---@field is_stream boolean?

--- Begins a session.
---@param id string of its socket
---@param key string? nonce or token that the client came with; nil when it belongs to another session
---@param facts SessionFacts
---@return Session? session nil when shared memory has no room for another one
function Session.new(id, key, facts)
  local self = setmetatable({
    keep = facts.keep,
    mode = facts.mode,
    protocol = facts.protocol,
    is_stream = facts.is_stream,
    received = 0,
    reported = 0,
    unreported = 0,
    ring = Ring.new(),
  }, Session)
  return self:renew(id, key) and self or nil
end

--- What another worker needs to continue the session, besides the frames of the ring.
---@return table facts that JSON can represent
function Session:facts()
  return {
    token = self.token,
    former = self.former,
    keep = self.keep,
    mode = self.mode,
    protocol = self.protocol,
    is_stream = self.is_stream,
    received = self.received,
    base = self.ring.base,
  }
end

--- Continues a session that another worker had.
---@param id string of its socket
---@param facts table as `facts` gives them
---@param frames string[] of the ring
---@return Session
function Session.restore(id, facts, frames)
  local self = setmetatable({
    token = facts.token,
    former = facts.former,
    keep = facts.keep,
    mode = facts.mode,
    protocol = facts.protocol,
    is_stream = facts.is_stream,
    received = facts.received,
    reported = 0,
    unreported = 0,
    ring = Ring.restore(facts.base, frames),
  }, Session)
  Places.set_key(self.token, id, known_seconds(self))
  if self.former then
    Places.set_key(self.former, id, known_seconds(self))
  end
  return self
end

--- Gives the session a new token. The one that the client came with stays good until it has shown that it has the new one.
---@param id string of its socket
---@param key string? nonce or token that the client came with
---@return boolean ok false when shared memory is full
function Session:renew(id, key)
  local token = Random.name(TOKEN_LENGTH)
  local seconds = known_seconds(self)
  if not Places.set_key(token, id, seconds) or key and not Places.set_key(key, id, seconds) then
    Places.remove_key(token)
    return false
  end
  for _, old in ipairs { self.token or token, self.former or token } do
    if old ~= key and old ~= token then
      Places.remove_key(old)
    end
  end
  self.token, self.former = token, key
  return true
end

--- Whether a token or nonce is good for the session now.
---@param key string
---@return boolean
function Session:opens_with(key) return key == self.token or key == self.former end

--- Notes that the client has shown that it has the token: something came over the transport that got it.
function Session:confirm()
  if self.former then
    Places.remove_key(self.former)
    self.former = nil
  end
end

--- The frames with which a transport begins: the session frame, a ping that asks for a sign of it, and the messages that the
--- client does not have.
---@param key string with which the client came
---@param received integer messages that the client has
---@param is_resumed boolean
---@return string bytes
function Session:first_frames(key, received, is_resumed)
  local missing = self:missing(received)
  self.reported, self.unreported = self.received, 0
  local text = Texts.session {
    token = self.token,
    key = key,
    is_resumed = is_resumed,
    received = self.received,
    keep = self.keep,
  }
  return Encoder.frame(text, true) .. self.ring:ping(received) .. missing
end

--- The messages that the client does not have. Those before them are acknowledged.
---@param received integer messages that the client has
---@return string bytes frames
function Session:missing(received)
  self.ring:acknowledge(received)
  return self.ring:after(received)
end

--- Counts a message of the client.
---@param bytes integer of its payload
---@return boolean is_due whether the client should learn now what has arrived
function Session:count_received(bytes)
  self.received, self.unreported = self.received + 1, self.unreported + bytes
  return self.unreported >= REPORT_BYTES
end

--- Whether the client does not know how many of its messages have arrived.
---@return boolean
function Session:is_report_due() return self.reported < self.received end

--- Makes the control text that acknowledges the messages of the client.
---@return string frame
function Session:report()
  self.reported, self.unreported = self.received, 0
  return Encoder.frame(Texts.received(self.received), true)
end

--- Keeps its keys known for another while.
function Session:refresh()
  Places.refresh_key(self.token, known_seconds(self))
  if self.former then
    Places.refresh_key(self.former, known_seconds(self))
  end
end

--- Notes that the handler is asked about a client that comes back, or no longer.
---@param returning table?
function Session:set_returning(returning) self.returning = returning end

--- Notes the transport that begins, or that it has ended.
---@param newest { transport: table, fd: integer? }?
function Session:set_newest(newest) self.newest = newest end

--- Notes that it has no transport.
---@param at number by Clock.monotonic
function Session:set_detached(at)
  self.detached_at = at
  self.ring:forget_ping()
  self:refresh()
end

--- Notes that it has a transport again.
---@param is_stream boolean? whether that is an event stream
function Session:set_attached(is_stream)
  self.detached_at, self.is_stream = nil, is_stream
end

--- Forgets its keys soon, because another node has the session. Until then a node that asks for one learns where it went: the
--- other node may have answered before it had the session.
function Session:leave()
  Places.refresh_key(self.token, LEFT_SECONDS)
  if self.former then
    Places.refresh_key(self.former, LEFT_SECONDS)
  end
end

--- Ends the session: no key opens it any more.
function Session:finish()
  Places.remove_key(self.token)
  if self.former then
    Places.remove_key(self.former)
    self.former = nil
  end
end

return Session
