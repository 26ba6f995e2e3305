-- Compresses messages when they leave an outbox (permessage-deflate, RFC 7692), for sockets that have negotiated it.
-- Outboxes and the rings of sessions hold plain frames: a session may go on over a transport that negotiated something else.
-- A message with many receivers is compressed once, because its frame is one string for all of them.

local Config = require "framegate.config"
local Counters = require "framegate.telemetry.counters"
local Encoder = require "framegate.protocol.encoder"
local Log = require "framegate.runtime.log"
local PermessageDeflate = require "framegate.protocol.permessage_deflate"
local Zlib = require "framegate.protocol.zlib"

---@class Compression for all sockets that have agreed on the same window
---@field private window_bits integer
---@field private recent table<string, string> frames as they are sent, by the plain frame
---@field private older table<string, string> those of the time before
---@field private bytes integer that `recent` costs
local Compression = {}
Compression.__index = Compression

local LIBRARY = "libz.so.1"
local LONGEST = 262144 -- bytes of a frame up to which it is compressed: that takes a millisecond, and others wait meanwhile
local KEPT_BYTES = 1024 * 1024
local ENTRY_BYTES = 200 -- that an entry of a table costs besides its strings

local RUNS = Counters.place "framegate_compressions_total"
local FRAMES = Counters.place "framegate_compressed_frames_total"
local BYTES = Counters.place "framegate_compression_bytes_total"
local FRAMES_IN, PLAIN_IN, COMPRESSED_IN = FRAMES["in"], BYTES["in"].plain, BYTES["in"].compressed
local FRAMES_OUT, PLAIN_OUT, COMPRESSED_OUT = FRAMES.out, BYTES.out.plain, BYTES.out.compressed
local count, payload_bytes = Counters.count, Encoder.payload_bytes

local is_on = false
local shortest -- bytes of a frame from which it is compressed
local known = {} -- by window

--- Runs in the master: loads zlib, unless COMPRESSION is off.
---@param library string? of zlib
function Compression.start(library)
  local ok, err = true, nil
  if Config.COMPRESSION then
    ok, err = Zlib.load(library or LIBRARY)
  end
  is_on, known = Config.COMPRESSION and ok, {}
  shortest = Encoder.frame_bytes(Config.COMPRESSION_MIN_BYTES)
  if not ok then
    Log.warn(nil, "COMPRESSION=on: sockets are not compressed, because zlib cannot be used: ", err)
  end
end

--- Agrees with a client about compression.
---@param offered string|string[]|nil Sec-WebSocket-Extensions of its handshake
---@return Compression? compression nil when messages are not compressed
---@return string? answer Sec-WebSocket-Extensions of the 101
function Compression.negotiate(offered)
  if not is_on or not offered then
    return nil
  end
  local bits, answer = PermessageDeflate.negotiate(offered)
  if bits and not known[bits] then
    known[bits] = setmetatable({ window_bits = bits, recent = {}, older = {}, bytes = 0 }, Compression)
  end
  return bits and known[bits], answer
end

-- Keeps what a frame became, for its other receivers. Those that are slow may come much later.
local function keep(self, frame, sent)
  self.recent[frame], self.bytes = sent, self.bytes + #frame + #sent + ENTRY_BYTES
  if self.bytes > KEPT_BYTES then
    self.recent, self.older, self.bytes = {}, self.recent, 0
  end
end

local function compress(self, frame)
  local sent = self.older[frame]
  if not sent then
    local ok, compressed = pcall(Encoder.compressed, frame, self.window_bits) -- it fails without memory
    sent = ok and compressed or frame
    count(RUNS)
  end
  keep(self, frame, sent)
  return sent
end

--- The form in which a frame is sent: compressed if it is a message of COMPRESSION_MIN_BYTES to 256 KB that gets shorter.
---@param frame string whole, as Encoder makes it
---@return string
function Compression:apply(frame)
  if #frame < shortest or #frame > LONGEST or Encoder.is_control(frame) then
    return frame
  end
  local sent = self.recent[frame] or compress(self, frame)
  if sent ~= frame then
    count(FRAMES_OUT)
    count(PLAIN_OUT, payload_bytes(frame))
    count(COMPRESSED_OUT, payload_bytes(sent))
  end
  return sent
end

--- Applies itself to whole frames, one behind the other.
---@param frames string
---@return string
function Compression:apply_all(frames)
  local sent, position = {}, 1
  while position <= #frames do
    local _, _, next_position = Encoder.read(frames, position)
    sent[#sent + 1] = self:apply(frames:sub(position, next_position - 1))
    position = next_position
  end
  return table.concat(sent)
end

--- Counts a message that came compressed.
---@param deflated integer bytes of its payload on the wire
---@param inflated integer bytes of the message
function Compression.note_received(deflated, inflated)
  count(FRAMES_IN)
  count(COMPRESSED_IN, deflated)
  count(PLAIN_IN, inflated)
end

return Compression
