-- Sockets that only read, and the publisher beside them: a publish is timed from before its request until each socket has
-- the frame. In Lua, since on a machine with few cores what the client takes is missing where frames are sent: here it is next to
-- nothing beside the kernel's part. push-client.lua '<Pushes as JSON>' (push.ts); tells its parent over Node's channel, in
-- lines of JSON.

package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local cjson = require "cjson"
local ffi = require "ffi"
local Sockets = require "sockets"

local task = cjson.decode(arg[1])
local parent = tonumber(os.getenv "NODE_CHANNEL_FD")
local FRAME_BYTES = 2 + #task.payload
local PING, PONG = 0x89, "\138\128\18\52\86\120"
local AT_ONCE = 64            -- handshakes
local WARM_UP_MS = 500
local MICROSECONDS = 1000000  -- longer latencies count as that

local readers = {}            -- by fd: bytes of the frame that has begun
local publishers = {}         -- by fd: the answer so far
local latencies, arrivals = ffi.new("uint32_t[?]", MICROSECONDS + 1), 0
local began, frames_left, answers_left

local REQUEST = ("POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%s")
  :format(task.path, #task.payload, task.payload)

local function tell(message)
  Sockets.write(parent, cjson.encode(message) .. "\n")
end

local function open_sockets()
  local port = { port = task.port }
  for first = 1, task.sockets, AT_ONCE do
    local opening = {}
    for i = first, math.min(first + AT_ONCE - 1, task.sockets) do
      local fd = Sockets.connect(port, task.from[i % #task.from + 1])
      Sockets.send(fd, task.handshake)
      opening[#opening + 1] = fd
    end
    for _, fd in ipairs(opening) do
      local answer = Sockets.receive(fd)
      assert(answer:find("^HTTP/1.1 101 ") and answer:find "\r\n\r\n$", "a handshake was refused")
      readers[fd] = 0
      Sockets.watch(fd)
    end
  end
end

local function open_publishers()
  for _ = 1, task.burst do
    local fd = Sockets.connect(task.target)
    publishers[fd] = ""
    Sockets.watch(fd)
  end
end

local function take_frames(fd, bytes, count)
  local before = readers[fd]
  if before == 0 and bytes[0] == PING then
    return Sockets.send(fd, PONG)
  end
  local all = before + count
  local frames = math.floor(all / FRAME_BYTES)
  readers[fd] = all - frames * FRAME_BYTES
  if frames > 0 then
    local microseconds = math.min(math.floor((Sockets.now() - began) * 1000), MICROSECONDS)
    latencies[microseconds], arrivals = latencies[microseconds] + 1, arrivals + 1
    frames_left = frames_left - frames
  end
end

local function take_answer(fd, bytes, count)
  local answer = publishers[fd] .. ffi.string(bytes, count)
  local head, body = answer:match "^(.-\r\n)\r\n(.*)$"
  local length = head and head:lower():match "\r\ncontent%-length: (%d+)\r\n"
  publishers[fd] = answer
  if length and #body == tonumber(length) then
    assert(answer:find "^HTTP/1.1 200 ", "a publish was answered with " .. answer)
    publishers[fd] = ""
    answers_left = answers_left - 1
  end
end

local function take(fd, bytes, count)
  if fd == parent then
    os.exit(0)
  end
  assert(count > 0, "the server closed a connection")
  if readers[fd] then
    return take_frames(fd, bytes, count)
  end
  return take_answer(fd, bytes, count)
end

local function round()
  frames_left, answers_left = task.sockets * task.burst, task.burst
  began = Sockets.now()
  for fd in pairs(publishers) do
    Sockets.send(fd, REQUEST)
  end
  while frames_left > 0 or answers_left > 0 do
    Sockets.read_some(take)
  end
end

local function run(milliseconds)
  local start, rounds = Sockets.now(), 0
  repeat
    round()
    rounds = rounds + 1
  until Sockets.now() - start >= milliseconds
  return rounds, (Sockets.now() - start) / 1000
end

-- In microseconds: the least latency that this part of all do not exceed.
local function percentile(part)
  local left, i = arrivals * part, -1
  repeat
    i = i + 1
    left = left - latencies[i]
  until left <= 0
  return i
end

Sockets.raise_limit()
Sockets.watch(parent)
open_sockets()
open_publishers()
run(WARM_UP_MS)
ffi.fill(latencies, ffi.sizeof(latencies))
arrivals = 0
tell "begin"
local cpu = os.clock()
local rounds, seconds = run(task.seconds * 1000)
tell {
  deliveries = rounds * task.burst * task.sockets,
  seconds = seconds,
  p50 = percentile(0.5),
  p99 = percentile(0.99),
  processorTime = (os.clock() - cpu) * 1e6,
}
while true do
  Sockets.read_some(take)
end
