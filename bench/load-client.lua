-- Sockets that send a text frame, and the next one after its answer. load.ts describes the task.
-- It is a separate process, so that its processor time is counted separately.

package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local Client = require "client"
local Frame = require "frame"
local Sockets = require "sockets"

local task = Client.task
local FRAME = Frame.of_client(task.payload)
-- The answer is a text frame with as many bytes.
local ANSWER = Frame.of_server(task.payload)
local ANSWER_BYTES, TEXT, LENGTH = #ANSWER, ANSWER:byte(1, 2)

local sent, bytes_so_far = {}, {} -- by fd
local unanswered, is_over = task.sockets, false

local function send(fd, time)
  sent[fd] = time
  Sockets.send(fd, FRAME)
end

-- An answer nearly always comes in one piece. Only otherwise are its bytes counted.
local function take(fd, bytes, count)
  local before = bytes_so_far[fd]
  assert(before > 0 or bytes[0] == TEXT and bytes[1] == LENGTH, "not the answer to the frame")
  local all = before + count
  assert(all <= ANSWER_BYTES, "more than one answer")
  if all < ANSWER_BYTES then
    bytes_so_far[fd] = all
    return
  end
  bytes_so_far[fd] = 0
  if is_over then
    unanswered = unanswered - 1
    return
  end
  local time = Sockets.now()
  Client.note(time - sent[fd], 1)
  send(fd, time)
end

-- Runs for some time, and until there is an answer: the times are divided by their number.
local function run(milliseconds)
  local start = Sockets.now()
  while Sockets.now() - start < milliseconds or Client.count() == 0 do
    Client.read(milliseconds, take)
  end
  return (Sockets.now() - start) / 1000
end

local joins = Client.open(task.sockets, { task.port }, nil, function(fd) bytes_so_far[fd] = 0 end)
for fd in pairs(bytes_so_far) do
  send(fd, Sockets.now())
end
run(task.warmUp * 1000)
local cpu = Client.begin()
local seconds = run(task.seconds * 1000)
is_over = true
Client.tell {
  frames = Client.count(),
  seconds = seconds,
  joins = joins,
  p50 = Client.percentile(0.5),
  p99 = Client.percentile(0.99),
  processorTime = os.clock() * 1e6 - cpu,
}
while unanswered > 0 do
  Client.read_in_time(take)
end
