-- Sockets that send a text frame each second, spread over it, and read the echo. active.ts describes the task.

package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local Client = require "client"
local Frame = require "frame"
local Sockets = require "sockets"

local task = Client.task
local FRAME = Frame.of_client(task.payload)
local ANSWER_BYTES = #Frame.of_server(task.payload)
local INTERVAL = 1000 / task.sockets

local fds = {}
local sent, bytes_so_far = {}, {} -- by fd
local unanswered = 0

local function take(fd, _, count)
  bytes_so_far[fd] = bytes_so_far[fd] + count
  if bytes_so_far[fd] == ANSWER_BYTES then
    bytes_so_far[fd] = 0
    unanswered = unanswered - 1
    Client.note(Sockets.now() - sent[fd], 1)
  end
end

local function run(seconds)
  local start, number, last = Sockets.now(), 0, math.ceil(seconds * task.sockets)
  while number < last do
    local left = math.ceil(start + number * INTERVAL - Sockets.now())
    if left > 0 then
      Client.read(left, take)
    else
      local fd = fds[number % #fds + 1]
      number, unanswered = number + 1, unanswered + 1
      sent[fd] = Sockets.now()
      Sockets.send(fd, FRAME)
    end
  end
  local finish = start + last * INTERVAL
  while unanswered > 0 or Sockets.now() < finish do
    Client.read(math.max(1, math.ceil(finish - Sockets.now())), take)
  end
  return (Sockets.now() - start) / 1000
end

Client.open(task.sockets, { task.port }, nil, function(fd)
  fds[#fds + 1], bytes_so_far[fd] = fd, 0
end)
run(task.warmUp)
Client.begin()
local seconds = run(task.seconds)
Client.tell { frames = Client.count(), seconds = seconds, p50 = Client.percentile(0.5), p99 = Client.percentile(0.99) }
