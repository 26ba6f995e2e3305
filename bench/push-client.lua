-- Sockets that only read, and the publisher beside them. push.ts describes the task.
-- The time of a publish begins in front of its request and ends when each socket has the frame.

package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local Client = require "client"
local Frame = require "frame"
local Publishing = require "publishing"
local Sockets = require "sockets"

local task = Client.task

local readers = {} -- by fd: bytes so far of the frame in progress
local publishers = {} -- by fd: the answer so far
local began, frames_left, answers_left
local frame_bytes -- of each frame: all have the same payload, and no frame refers to an earlier one

local REQUEST = Publishing.request(task)

local function take_frames(fd, bytes, count)
  frame_bytes = frame_bytes or Frame.size(bytes)
  local all = readers[fd] + count
  local frames = math.floor(all / frame_bytes)
  readers[fd] = all - frames * frame_bytes
  if frames > 0 then
    Client.note(Sockets.now() - began, frames)
    frames_left = frames_left - frames
  end
end

local function take_answer(fd, bytes, count)
  publishers[fd] = Publishing.answer(publishers[fd], bytes, count)
  if publishers[fd] == "" then
    answers_left = answers_left - 1
  end
end

local function take(fd, bytes, count)
  local take_it = readers[fd] and take_frames or take_answer
  return take_it(fd, bytes, count)
end

local function round()
  frames_left, answers_left = task.sockets * task.burst, task.burst
  began = Sockets.now()
  for fd in pairs(publishers) do
    Sockets.send(fd, REQUEST)
  end
  while frames_left > 0 or answers_left > 0 do
    Client.read_in_time(take)
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

local joins = Client.open(task.sockets, task.ports, task.from, function(fd) readers[fd] = 0 end)
for _ = 1, task.burst do
  local fd = Sockets.connect(task.target)
  publishers[fd] = ""
  Sockets.watch(fd)
end
run(task.warmUp * 1000)
local cpu = Client.begin()
local rounds, seconds = run(task.seconds * 1000)
Client.tell {
  deliveries = rounds * task.burst * task.sockets,
  seconds = seconds,
  frameBytes = frame_bytes,
  joins = joins,
  p50 = Client.percentile(0.5),
  p95 = Client.percentile(0.95),
  p99 = Client.percentile(0.99),
  processorTime = os.clock() * 1e6 - cpu,
}
while true do
  Client.read(-1, take)
end
