-- The common part of the clients that send or read while a gateway is measured.
-- On a machine with few cores a client takes processor time from the gateway. In Lua that time is small beside the kernel's.
-- A client gets its task as JSON in its first argument. It reports to its parent over Node's channel, in lines of JSON.

local cjson = require "cjson"
local ffi = require "ffi"
local Sockets = require "sockets"

local Client = {}

local AT_ONCE = 64 -- handshakes at the same time
local WAIT_MS = 10000
local LONGEST = 10000000 -- microseconds; longer latencies count as this

local parent = tonumber(os.getenv "NODE_CHANNEL_FD")
local latencies, count = ffi.new("uint32_t[?]", LONGEST + 1), 0

Client.task = cjson.decode(arg[1])

---@param message any
function Client.tell(message) Sockets.write(parent, cjson.encode(message) .. "\n") end

--- Opens WebSockets to 127.0.0.1, over TLS if the task asks for it.
---@param number integer
---@param ports integer[] in turns
---@param from string[]? addresses to connect from, in turns
---@param opened fun(fd: integer)
---@return number joins how many opened in a second
function Client.open(number, ports, from, opened)
  local began = Sockets.now()
  for first = 1, number, AT_ONCE do
    local opening = {}
    for i = first, math.min(first + AT_ONCE - 1, number) do
      local fd = Sockets.connect({ port = ports[i % #ports + 1] }, from and from[i % #from + 1])
      if Client.task.tls then
        Sockets.secure(fd)
      end
      Sockets.send(fd, Client.task.handshake)
      opening[#opening + 1] = fd
    end
    for _, fd in ipairs(opening) do
      local answer = ""
      repeat
        local bytes = Sockets.receive(fd)
        answer = answer .. bytes
      until bytes == "" or answer:find "\r\n\r\n$"
      assert(answer:find "^HTTP/1.1 101 ", "a handshake was answered with " .. answer)
      Sockets.watch(fd)
      opened(fd)
    end
  end
  return number / (Sockets.now() - began) * 1000
end

---@param milliseconds number that something took
---@param times integer how many things did
function Client.note(milliseconds, times)
  local microseconds = math.min(math.floor(milliseconds * 1000), LONGEST)
  latencies[microseconds], count = latencies[microseconds] + times, count + times
end

--- Begins to measure: what was noted so far is forgotten.
---@return number processor time so far, in microseconds
function Client.begin()
  ffi.fill(latencies, ffi.sizeof(latencies))
  count = 0
  Client.tell "begin"
  return os.clock() * 1e6
end

---@return integer how often something was noted
function Client.count() return count end

--- The least latency that this part of all do not exceed.
---@param part number from 0 to 1
---@return integer microseconds
function Client.percentile(part)
  local left, i = count * part, -1
  repeat
    i = i + 1
    left = left - latencies[i]
  until left <= 0
  return i
end

local take_bytes

local function on_bytes(fd, bytes, length)
  if fd == parent then
    os.exit(0)
  end
  assert(length > 0, "the server closed a connection")
  return take_bytes(fd, bytes, length)
end

--- Reads what comes on all sockets, once. Ends when the parent does.
---@param milliseconds integer to wait, -1 for ever
---@param take fun(fd: integer, bytes: ffi.cdata*, length: integer)
---@return boolean whether anything came
function Client.read(milliseconds, take)
  take_bytes = take
  return Sockets.read(milliseconds, on_bytes)
end

--- Likewise, for what must come: fails when nothing does for ten seconds.
---@param take fun(fd: integer, bytes: ffi.cdata*, length: integer)
function Client.read_in_time(take)
  assert(Client.read(WAIT_MS, take), "nothing came for " .. WAIT_MS .. " ms, and something was lost")
end

Sockets.raise_limit()
Sockets.watch(parent)

return Client
