-- Users who only read, and a publisher beside them that keeps a rate. fanout.ts describes the task.
-- The time of a push begins when it is due, also if it has to wait for the answer to the one before it.

package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local Client = require "client"
local Frame = require "frame"
local Publishing = require "publishing"
local Sockets = require "sockets"

local task = Client.task
local REQUEST = Publishing.request(task)
local INTERVAL = 1000 / task.pushesPerSecond
local WARM_UP_PUSHES = math.ceil(task.warmUp * task.pushesPerSecond)
local PUSHES = WARM_UP_PUSHES + math.ceil(task.seconds * task.pushesPerSecond)

local frames, rest = {}, {} -- by fd: frames so far, and bytes of the next one
local began = {} -- by number of the push
local frames_left = PUSHES * task.users
local pushed, is_waiting, answer = 0, false, ""
local publisher, frame_bytes, start

-- The publisher has one connection, so every user gets the pushes in order.
local function take_frames(fd, bytes, count)
  frame_bytes = frame_bytes or Frame.size(bytes)
  local all = rest[fd] + count
  local new = math.floor(all / frame_bytes)
  rest[fd] = all - new * frame_bytes
  local now = Sockets.now()
  for i = frames[fd] + 1, frames[fd] + new do
    if i > WARM_UP_PUSHES then
      Client.note(now - began[i], 1)
    end
  end
  frames[fd] = frames[fd] + new
  frames_left = frames_left - new
end

local function take(fd, bytes, count)
  if fd ~= publisher then
    return take_frames(fd, bytes, count)
  end
  answer = Publishing.answer(answer, bytes, count)
  is_waiting = answer ~= ""
end

local function push(due)
  pushed = pushed + 1
  if pushed == WARM_UP_PUSHES + 1 then
    Client.begin()
    start = due
  end
  began[pushed] = due
  is_waiting = true
  Sockets.send(publisher, REQUEST)
end

local function run()
  local first = Sockets.now()
  while frames_left > 0 or is_waiting do
    local due = first + pushed * INTERVAL
    local left = due - Sockets.now()
    if is_waiting or pushed == PUSHES then
      Client.read_in_time(take)
    elseif left > 0 then
      Client.read(math.floor(left), take)
    else
      push(due)
    end
  end
end

local joins = Client.open(task.users, { task.port }, task.from, function(fd)
  frames[fd], rest[fd] = 0, 0
end)
publisher = Sockets.connect(task.target)
Sockets.watch(publisher)
run()
Client.tell {
  messages = Client.count(),
  seconds = (Sockets.now() - start) / 1000,
  joins = joins,
  p50 = Client.percentile(0.5),
  p95 = Client.percentile(0.95),
  p99 = Client.percentile(0.99),
}
while true do
  Client.read(-1, take)
end
