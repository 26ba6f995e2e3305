-- Raw deflate (RFC 1951) of whole messages, by the zlib that nginx is linked with.
-- No message refers to an earlier one. So a worker has one inflater and one deflater of each window size, for all sockets.

local ffi = require "ffi"

ffi.cdef [[
  /* z_stream in zlib.h; `adler` and `reserved` end it */
  typedef struct {
    const uint8_t *next_in;
    unsigned int avail_in;
    unsigned long total_in;
    uint8_t *next_out;
    unsigned int avail_out;
    unsigned long total_out;
    const char *msg;
    void *state, *zalloc, *zfree, *opaque;
    int data_type;
    unsigned long adler, reserved;
  } framegate_z_stream;

  const char *zlibVersion(void);
  int deflateInit2_(framegate_z_stream *stream, int level, int method, int window_bits, int memory, int strategy,
    const char *version, int stream_size);
  int deflateReset(framegate_z_stream *stream);
  int deflate(framegate_z_stream *stream, int flush);
  int deflateEnd(framegate_z_stream *stream);
  int inflateInit2_(framegate_z_stream *stream, int window_bits, const char *version, int stream_size);
  int inflateReset(framegate_z_stream *stream);
  int inflate(framegate_z_stream *stream, int flush);
  int inflateEnd(framegate_z_stream *stream);
]]

local Zlib = {}

-- Constants of zlib.h.
local OK, STREAM_END, DATA_ERROR, BUF_ERROR = 0, 1, -3, -5
local SYNC_FLUSH, DEFLATED, DEFAULT_STRATEGY = 2, 8, 0

-- The fastest level: for messages of a few KB the best one takes twice the time, for a tenth less bytes.
local LEVEL, MEMORY = 1, 8
local LARGEST_WINDOW = 15 -- an inflater of this size reads data of all smaller ones

local TAIL = "\0\0\255\255" -- ends what a synchronous flush writes, and is not sent (RFC 7692 section 7.2.1)
local AT_BLOCK = 128 -- data_type of an inflater between two blocks, at the end of a byte

local const_bytes = ffi.typeof("const uint8_t *")
local bytes_t = ffi.typeof("uint8_t[?]")
local MOST_ENDS = 16
local KEPT_BYTES = 65536
local kept = bytes_t(KEPT_BYTES)

local library, inflater
local deflaters = {} -- by the bits of their window

local function new_stream() return ffi.new("framegate_z_stream"), library.zlibVersion(), ffi.sizeof "framegate_z_stream" end

local function new_deflater(bits)
  local stream, version, size = new_stream()
  local result = library.deflateInit2_(stream, LEVEL, DEFLATED, -bits, MEMORY, DEFAULT_STRATEGY, version, size)
  assert(result == OK, "deflateInit2 failed")
  deflaters[bits] = stream
  return stream
end

local function new_inflater()
  local stream, version, size = new_stream()
  assert(library.inflateInit2_(stream, -LARGEST_WINDOW, version, size) == OK, "inflateInit2 failed")
  return stream
end

--- Compresses a message.
---@param window_bits integer 9 to 15: the receiver keeps a window of 2 to the power of this
---@param source ffi.cdata* const uint8_t *
---@param length integer bytes
---@return string? deflated nil when it would not be shorter
function Zlib.deflate(window_bits, source, length)
  local stream = deflaters[window_bits] or new_deflater(window_bits)
  local room = length + #TAIL - 1
  local output = room <= KEPT_BYTES and kept or bytes_t(room)
  library.deflateReset(stream)
  stream.next_in, stream.avail_in = source, length
  stream.next_out, stream.avail_out = output, room
  library.deflate(stream, SYNC_FLUSH)
  if stream.avail_out == 0 then
    return nil
  end
  return ffi.string(output, room - stream.avail_out - #TAIL)
end

-- Inflates all input that the inflater has, and adds it to pieces.
local function drain(pieces, max_bytes)
  local result
  repeat
    inflater.next_out, inflater.avail_out = kept, KEPT_BYTES
    result = library.inflate(inflater, SYNC_FLUSH)
    local length = KEPT_BYTES - inflater.avail_out
    pieces.bytes = pieces.bytes + length
    if pieces.bytes > max_bytes then
      return "too big"
    end
    if length > 0 then
      pieces[#pieces + 1] = ffi.string(kept, length)
    end
  until result ~= OK or inflater.avail_out > 0
  return result
end

-- Feeds the inflater. A stream may end in the middle, and another one begin behind it (RFC 7692 section 7.2.3.5): not so many
-- that they would take long and hold nothing.
local function feed(pieces, source, max_bytes)
  inflater.next_in, inflater.avail_in = ffi.cast(const_bytes, source), #source
  local result, left = drain(pieces, max_bytes), MOST_ENDS + #source / 1024
  while result == STREAM_END and inflater.avail_in > 0 do
    left = left - 1
    if left < 0 then
      return DATA_ERROR
    end
    library.inflateReset(inflater)
    result = drain(pieces, max_bytes)
  end
  return result
end

--- Decompresses a message. It stops as soon as the message is too long.
---@param deflated string as it was received, without its tail; empty for an empty message
---@param max_bytes integer
---@return string? message
---@return "too big"|"invalid"|nil err invalid: it is no deflate data, or was cut off
function Zlib.inflate(deflated, max_bytes)
  if deflated == "" then
    return ""
  end
  inflater = inflater or new_inflater()
  library.inflateReset(inflater)
  local pieces = { bytes = 0 }
  local result = feed(pieces, deflated, max_bytes)
  local is_whole = result == STREAM_END
  if result == OK or result == BUF_ERROR then
    result = feed(pieces, TAIL, max_bytes)
    is_whole = inflater.data_type == AT_BLOCK
  end
  if result == "too big" then
    return nil, result
  elseif result == DATA_ERROR or not is_whole then
    return nil, "invalid"
  end
  return pieces[2] and table.concat(pieces) or pieces[1] or ""
end

-- Whether the library works as zlib.h describes: another structure or another state would show here.
local function works()
  local text = ("framegate "):rep(20)
  local deflated = Zlib.deflate(LARGEST_WINDOW, ffi.cast(const_bytes, text), #text)
  local _, err = Zlib.inflate(deflated:sub(1, -3), 2 * #text)
  return Zlib.inflate(deflated, #text) == text and err == "invalid"
end

-- Frees the streams of the check: the master needs none, and each worker makes its own.
local function release()
  library.inflateEnd(inflater)
  for _, stream in pairs(deflaters) do
    library.deflateEnd(stream)
  end
  inflater, deflaters = nil, {}
end

--- Loads the library and checks it. Nothing else here may be called unless it succeeds.
---@param name string of the library, as dlopen(3) finds it
---@return boolean ok
---@return string? err
function Zlib.load(name)
  local ok, found = pcall(ffi.load, name)
  if not ok then
    return false, found
  end
  library, inflater, deflaters = found, nil, {}
  local has_functions, is_good = pcall(works)
  if has_functions and is_good then
    release()
    return true
  end
  return false, name .. " does not work as zlib.h describes"
end

return Zlib
